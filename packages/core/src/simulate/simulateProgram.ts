// A program on a cluster becomes a step: level-1 costs of its actions, the pipeline's timeline over them, the tail, memory, noise, energy.
//
// Work grows with distinct stages (level 1) and with pipeline ranks x micro-batches (level 2), never with the number of devices: tensor,
// context and data-parallel copies of a pipeline rank run the same ops at the same time and differ only by noise.
//
// Invariant: for every pipeline rank compute + exposed + host + bubble + optimizer + straggler = step.

import type { ClusterSpec } from "../cluster/types.ts";
import { opContext } from "../cost/opContext.ts";
import { flopsPerToken, type ModelSpec } from "../model/index.ts";
import { meshSize } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import type { Software, Workload } from "../parallel/strategy.ts";
import { assert } from "../units/errors.ts";
import { actionVariants } from "./actionDurations.ts";
import { gatherCost, gatherStream } from "./gatherStream.ts";
import { largestBuffers } from "./memory/largestBuffers.ts";
import { type ProgramMemory, programMemory } from "./memory/rankMemory.ts";
import { stragglerFrac } from "./noise.ts";
import { type ResolvedOptions, resolveOptions, type SimulateOptions } from "./options.ts";
import { hiddenExchange } from "./overlapExchange.ts";
import { paceOf } from "./pace.ts";
import { type OverlappedPair, simulatePipeline } from "./pipeline/index.ts";
import { type StepLoad, stepEnergyJoules, sustainedClock } from "./power.ts";
import { rankClass } from "./rankClass.ts";
import { forEachAction, type RankTotals, rankTotals } from "./rankTotals.ts";
import { type StageActions, stageActions } from "./stageActions.ts";
import { flushCost, flushOf, heldSeconds, messageSeconds, replicaSyncSeconds } from "./stepEnds.ts";
import { type RankTail, stepTails } from "./stepTail.ts";
import { opTotals, sourceShares, stepRelStd } from "./stepTotals.ts";
import { blockPrices } from "./streams/blockPrices.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { HOST_SHARE, SHARES } from "./streams/streamOps.ts";
import { stepTimeline } from "./timeline.ts";
import { boundaryBytes, transferSeconds } from "./transfers.ts";
import type { Infeasible, RankClass, StepBrief, StepResult } from "./types.ts";

export interface StepSite {
  readonly cluster: ClusterSpec;
  readonly software: Software;
  readonly model: ModelSpec;
  readonly workload: Workload;
}

export function simulateProgram(
  program: Program,
  site: StepSite,
  options: SimulateOptions = {},
): StepResult | Infeasible {
  const run = settledRun(program, site, options);
  return run.kind === "infeasible" ? run : run.step();
}

/** The figures that a search compares, equal to those of `simulateProgram` to the last bit, without the totals a report shows. */
export function briefProgram(program: Program, site: StepSite, options: SimulateOptions = {}): StepBrief | Infeasible {
  const run = settledRun(program, site, options);
  return run.kind === "infeasible" ? run : run.brief();
}

function settledRun(program: Program, site: StepSite, options: SimulateOptions): RunStep | Infeasible {
  const resolved = resolveOptions(options);
  assert(
    meshSize(program.mesh) <= site.cluster.numDevices,
    `${meshSize(program.mesh)} ranks fit ${site.cluster.numDevices} devices`,
  );
  const first = runStep(program, site, resolved, 1);
  if (first.kind === "infeasible") return first;
  // Under a load above its TDP the device lowers its clock; the loads of the slower step are then the right ones, so one correction is enough.
  const clock = sustainedClock(site.cluster.device, first.load, resolved.power);
  return clock < 1 ? runStep(program, site, resolved, clock, first.memory) : first;
}

/** Share of a step lost to reductions of every micro-batch from which the answer says so. */
const LATE_FRAC = 0.05;

interface RunStep {
  readonly kind: "run";
  readonly load: StepLoad;
  readonly memory: ProgramMemory;
  readonly step: () => StepResult;
  readonly brief: () => StepBrief;
}

/** @param known memory of the same program: it follows the order of actions, not their durations. */
function runStep(
  program: Program,
  site: StepSite,
  options: ResolvedOptions,
  clockFrac: number,
  known?: ProgramMemory,
): RunStep | Infeasible {
  const { cluster, software, model, workload } = site;
  const { schedule, mesh } = program;
  const context = opContext({ cluster, mesh, software });
  const prices = blockPrices(
    program,
    context,
    options.contention,
    paceOf(cluster.device, software, clockFrac, options.pace),
  );
  const actionOptions = { computeFloor: options.contention.computeFloor, full: options.full };
  const plainActions = stageActions(prices, actionOptions);
  const actions = hiddenExchange(plainActions, program, software, options.contention, cluster.device.units);
  const variants = actionVariants(schedule, {
    lastDiffers: actions.lastDiffers,
    secondsOf: (stage, kind, variant) => actions.cost(stage, kind, variant).durationSec,
  });
  const transferSec = transferSeconds(program, cluster, options.pace.networkFrac);
  const gathers = gatherStream(prices, schedule, variants);
  const timeline = simulatePipeline({
    schedule,
    durations: { perActionSec: variants.perActionSec },
    ...(schedule.numRanks === 1 ? {} : { transferSec }),
    overlapP2p: software.overlapP2p,
    ...(gathers === null ? {} : { earliestEndSec: gathers.earliestEndSec }),
    pairSec: (pair) => pairSeconds(pair, schedule.stageOf[pair.rank]!, actions.cost),
  });

  const memory =
    known ??
    programMemory({
      program,
      software,
      timeline,
      capacityBytes: cluster.device.memoryBytes,
      allocator: options.allocator,
    });
  let peakRank = 0;
  memory.ranks.forEach((rank, i) => {
    if (rank.peakBytes > memory.ranks[peakRank]!.peakBytes) peakRank = i;
  });
  const fullest = memory.ranks[peakRank]!;
  if (!options.ignoreMemory && fullest.peakBytes > fullest.capacityBytes) {
    const stash = memory.stashesAtPeak(peakRank);
    return {
      kind: "infeasible",
      reason: "memory",
      pipelineRank: peakRank,
      needBytes: fullest.peakBytes,
      haveBytes: fullest.capacityBytes,
      memory: fullest,
      largestBuffers: largestBuffers(program, peakRank, stash),
    };
  }

  const tails = stepTails(prices, actionOptions);
  const numRanks = schedule.numRanks;
  const rankTails = Array.from({ length: numRanks }, (_, rank) => tails.tail(rank));
  const replicaSec = Array.from({ length: numRanks }, (_, rank) =>
    replicaSyncSeconds(program, cluster, rank, memory.gradientBytesOf),
  );
  const flushes = Array.from({ length: numRanks }, (_, rank) =>
    flushOf(timeline, variants.lastGradient, rank, actions.cost, actions.lastDiffers),
  );
  // All ranks meet in the gradient norm; then each updates its own parameters.
  let meetSec = 0;
  let tailSec = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    const { reduce, update, gather } = rankTails[rank]!;
    meetSec = Math.max(meetSec, flushes[rank]!.readySec + reduce.durationSec + replicaSec[rank]!);
    tailSec = Math.max(tailSec, update.durationSec + gather.durationSec);
  }
  const synchronousSec = meetSec + tailSec;
  const numDevices = meshSize(mesh);
  const straggler = stragglerFrac({ numDevices, devicesPerNode: cluster.node.numDevices }, options.noise);
  const stepSec = synchronousSec * (1 + straggler);

  const totals = Array.from({ length: numRanks }, (_, rank) => rankTotals({ schedule, variants, actions, rank }));
  let pace = 0;
  for (let rank = 1; rank < numRanks; rank++) if (timeline.busySec[rank]! > timeline.busySec[pace]!) pace = rank;
  const paceTotals = totals[pace]!;
  const load = loadOf(paceTotals, rankTails[pace]!);

  const energyJoules = () =>
    stepEnergyJoules(cluster, { stepSec, numDevices, joules: meanJoules(totals, rankTails), clockFrac }, options.power);
  const brief = (): StepBrief => ({
    kind: "ok",
    stepSec,
    energyJoules: energyJoules(),
    peakBytes: fullest.peakBytes,
    clockFrac,
  });
  const step = (): StepResult => {
    const ranks = totals.map(
      (total, rank): RankClass =>
        rankClass({
          rank,
          numRanks: numDevices / numRanks,
          total,
          tail: rankTails[rank]!,
          timeline,
          spillSec: flushes[rank]!.spillSec,
          heldSec: heldSeconds(timeline, variants, rank),
          gatherSec: gathers?.busySec[rank] ?? 0,
          replicaSec: replicaSec[rank]!,
          stepSec,
          stragglerSec: stepSec - synchronousSec,
          messageSec: messageSeconds(program, timeline, rank, transferSec),
          memory: memory.ranks[rank]!,
        }),
    );
    const costsBeforeUpdate = (rank: number): { cost: ActionCost; times: number }[] => {
      const costs: { cost: ActionCost; times: number }[] = [];
      forEachAction({ schedule, variants, actions, rank }, (cost, times) => costs.push({ cost, times }));
      const { reduce, gather } = rankTails[rank]!;
      costs.push({ cost: reduce, times: 1 }, { cost: gather, times: 1 });
      const { computeFloor } = options.contention;
      costs.push({ cost: flushCost(prices, { rank, spillSec: flushes[rank]!.spillSec, computeFloor }), times: 1 });
      if (gathers !== null) {
        const heldSec = heldSeconds(timeline, variants, rank);
        costs.push({ cost: gatherCost(prices, schedule, { rank, heldSec, computeFloor }), times: 1 });
      }
      return costs;
    };
    const costs = [...costsBeforeUpdate(pace), { cost: rankTails[pace]!.update, times: 1 }];
    const tokens = program.globalTokens;
    const causalFlops = tokens * flopsPerToken(model, { seqLen: workload.seqLen, convention: "causal" });
    const noncausalFlops = tokens * flopsPerToken(model, { seqLen: workload.seqLen, convention: "noncausal" });
    let hardwareFlops = 0;
    for (let rank = 0; rank < numRanks; rank++) hardwareFlops += totals[rank]!.workFlops * (numDevices / numRanks);
    const peak =
      cluster.device.peakFlopsPerSec.bf16 ??
      cluster.device.peakFlopsPerSec.fp16 ??
      cluster.device.peakFlopsPerSec.fp32 ??
      0;
    const share = (flops: number) => (peak > 0 ? flops / (stepSec * numDevices * peak) : 0);
    const lateFrac = program.reducePolicy === "everyMicroBatch" ? flushes[pace]!.spillSec / stepSec : 0;
    const usdPerHour = cluster.usdPerDeviceHour ?? cluster.device.priceUsdPerHour;
    return {
      kind: "ok",
      stepSec,
      relStd: stepRelStd(costs, { stepSec, straggler }),
      tokensPerSec: tokens / stepSec,
      tokensPerSecPerDevice: tokens / stepSec / numDevices,
      modelFlopsCausal: causalFlops,
      modelFlopsNoncausal: noncausalFlops,
      hardwareFlops,
      mfuCausal: share(causalFlops),
      mfuNoncausal: share(noncausalFlops),
      hfu: share(hardwareFlops),
      energyJoules: energyJoules(),
      usdPerBillionTokens:
        usdPerHour === undefined ? null : ((usdPerHour * numDevices * stepSec) / 3600 / tokens) * 1e9,
      ranks,
      opTotals: opTotals(costs),
      ...(options.rankOps ? { rankOps: totals.map((_, rank) => opTotals(costsBeforeUpdate(rank))) } : {}),
      clockFrac,
      peakRank,
      notes: notesOf(
        program,
        options,
        fullest.peakBytes > fullest.capacityBytes,
        clockFrac,
        numDevices,
        cluster,
        lateFrac,
      ),
      sources: sourceShares(costs),
      ...(options.timeline === null
        ? {}
        : {
            timeline: stepTimeline({
              program,
              model,
              timeline,
              memory,
              prices,
              actions,
              variants,
              tails,
              actionOptions,
              meetSec,
              bytesOf: boundaryBytes,
              limits: options.timeline,
            }),
          }),
    };
  };
  return { kind: "run", load, memory, step, brief };
}

/** F and B of different micro-batches together (DualPipe): compute of both in turn, communication of one behind compute of the other. */
function pairSeconds(pair: OverlappedPair, stages: readonly number[], cost: StageActions["cost"]): number {
  const forward = cost(stages[pair.forwardChunk]!, "F", "plain");
  const backward = cost(stages[pair.backwardChunk]!, "BW", "plain");
  const sumSec = pair.forwardSec + pair.backwardSec;
  const computeSec =
    forward.shares[0]! + backward.shares[0]! + forward.shares[HOST_SHARE]! + backward.shares[HOST_SHARE]!;
  let communicationSec = 0;
  for (let k = 1; k < SHARES.length; k++)
    if (k !== HOST_SHARE) communicationSec += forward.busy[k]! + backward.busy[k]!;
  return Math.min(sumSec, Math.max(computeSec, communicationSec));
}

/** The rank that works most decides the pace, and its clock with it. */
function loadOf(total: RankTotals, tail: RankTail): StepLoad {
  const busySec = total.actionSec + tail.reduce.durationSec + tail.update.durationSec + tail.gather.durationSec;
  return { busySec, matrixSec: total.matrixSec + tail.update.matrixSec, joules: total.joules + tailJoules(tail) };
}

function tailJoules(tail: RankTail): number {
  return tail.reduce.joules + tail.update.joules + tail.gather.joules;
}

/** Dynamic energy of one device at boost clock, averaged over pipeline ranks. */
function meanJoules(totals: readonly RankTotals[], tails: readonly RankTail[]): number {
  return totals.reduce((sum, total, rank) => sum + total.joules + tailJoules(tails[rank]!), 0) / totals.length;
}

function notesOf(
  program: Program,
  options: ResolvedOptions,
  tooLarge: boolean,
  clockFrac: number,
  numDevices: number,
  cluster: ClusterSpec,
  lateFrac: number,
): string[] {
  const notes: string[] = [];
  if (options.ignoreMemory && tooLarge) notes.push("The step does not fit memory; its time is given as if it did");
  if (lateFrac > LATE_FRAC)
    notes.push(
      `Gradients are reduced after every micro-batch, and ${(lateFrac * 100).toFixed(0)} % of the step waits for it: zero1 reduces them once a step`,
    );
  if (clockFrac < 1) notes.push(`Power limit holds the clock at ${(clockFrac * 100).toFixed(1)} % of boost`);
  if (numDevices < cluster.numDevices)
    notes.push(`${cluster.numDevices - numDevices} of ${cluster.numDevices} devices stay idle`);
  if (program.schedule.replicas > 1)
    notes.push("Both directions of the schedule hold a copy of every stage's parameters");
  return notes;
}
