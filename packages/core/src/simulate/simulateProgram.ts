// A program on a cluster becomes a step: level-1 costs of its actions, the pipeline's timeline over them, the tail, memory, noise, energy.
//
// Work grows with distinct stages (level 1) and with pipeline ranks x micro-batches (level 2), never with the number of devices: tensor,
// context and data-parallel copies of a pipeline rank run the same ops at the same time and differ only by noise.
// In a cluster of several kinds of devices each pipeline rank is priced on its own, and one pipeline is simulated for each class of replicas that lie alike.
//
// Invariant: for every pipeline rank compute + exposed + host + bubble + optimizer + straggler = step.

import type { ClusterSpec } from "../cluster/types.ts";
import { flopsPerToken, type ModelSpec } from "../model/index.ts";
import { meshSize } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import type { RankSite } from "../parallel/rankSites.ts";
import { programOfShare } from "../parallel/replicaPrograms.ts";
import type { Software, Workload } from "../parallel/strategy.ts";
import { assert } from "../units/errors.ts";
import { devicesOf, type Kinds, kindsOf, nodesOf, perDevice } from "./deviceKinds.ts";
import { gatherCost } from "./gatherStream.ts";
import { interruptedWaitSec, interruptionsOf } from "./interruptions.ts";
import { loadOf, meanJoules } from "./kindLoads.ts";
import { headroomNote } from "./memory/headroom.ts";
import { largestBuffers } from "./memory/largestBuffers.ts";
import { peakBuffers } from "./memory/peakBuffers.ts";
import type { ProgramMemory } from "./memory/rankMemory.ts";
import { stragglerFrac } from "./noise.ts";
import { type ResolvedOptions, resolveOptions, type SimulateOptions } from "./options.ts";
import { endPipeline, type PipelineEnd, type PipelineRun, runPipeline } from "./pipelineRun.ts";
import { type StepLoad, stepEnergyJoules, sustainedClock } from "./power.ts";
import { rankClass } from "./rankClass.ts";
import { forEachAction } from "./rankTotals.ts";
import { siteCosts } from "./siteCosts.ts";
import { flushCost, heldSeconds, messageSeconds } from "./stepEnds.ts";
import { opTotals, sourceShares, stepRelStd } from "./stepTotals.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { SHARES } from "./streams/streamOps.ts";
import { stepTimeline } from "./timeline.ts";
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
  const kinds = kindsOf(site.cluster, program);
  const boost = (site.cluster.groups ?? [site.cluster]).map(() => 1);
  const first = runStep(program, site, resolved, kinds, boost);
  if (first.kind === "infeasible") return first;
  // Under a load above its TDP a device lowers its clock; the loads of the slower step are then the right ones, so one correction is enough.
  const clocks = boost.slice();
  for (const { group, view } of kinds.list)
    clocks[group] = sustainedClock(view.device, first.loads.get(group)!, resolved.power);
  const held = clocks.some((clock) => clock < 1);
  return held ? runStep(program, site, resolved, kinds, clocks, first.memory) : first;
}

/** Share of a step lost to reductions of every micro-batch from which the answer says so. */
const LATE_FRAC = 0.05;

interface RunStep {
  readonly kind: "run";
  /** By kind of device. */
  readonly loads: ReadonlyMap<number, StepLoad>;
  /** By class. */
  readonly memory: readonly ProgramMemory[];
  readonly step: () => StepResult;
  readonly brief: () => StepBrief;
}

/** @param known memory of the same program: it follows the order of actions, not their durations. */
function runStep(
  program: Program,
  site: StepSite,
  options: ResolvedOptions,
  kinds: Kinds,
  clocks: readonly number[],
  known?: readonly ProgramMemory[],
): RunStep | Infeasible {
  const { cluster, software, model, workload } = site;
  const { mesh } = program;
  const costsAt = siteCosts({ cluster, software }, options, clocks);
  const runs = kinds.classes.map((each, i) => {
    // Replicas of one class have equal shares.
    const own = programOfShare(program, program.replicaShares?.[each.replicas[0]!] ?? program.microBatchesPerStep);
    const costs = each.sites.map((at) => costsAt(own, at));
    return runPipeline({ class: each, program: own, cluster, software, costs, options, known: known?.[i] });
  });
  const memories = runs.flatMap((run, c) => run.memory.ranks.map((memory, rank) => ({ memory, c, rank })));
  // The fullest: nearest to its capacity, or farthest beyond it.
  let peakRank = 0;
  const roomOf = (i: number) => memories[i]!.memory.capacityBytes - memories[i]!.memory.peakBytes;
  for (let i = 1; i < memories.length; i++) if (roomOf(i) < roomOf(peakRank)) peakRank = i;
  const fullest = memories[peakRank]!;
  const tooLarge = fullest.memory.peakBytes > fullest.memory.capacityBytes;
  if (!options.ignoreMemory && tooLarge) {
    const { memory, program: own, at } = runs[fullest.c]!;
    const stash = memory.stashesAtPeak(fullest.rank);
    return {
      kind: "infeasible",
      reason: "memory",
      pipelineRank: fullest.rank,
      ...(cluster.groups === undefined ? {} : { devices: devicesOf(cluster, at.sites[fullest.rank]!) }),
      needBytes: fullest.memory.peakBytes,
      haveBytes: fullest.memory.capacityBytes,
      memory: fullest.memory,
      largestBuffers: largestBuffers(own, fullest.rank, stash),
    };
  }
  const crowded = options.ignoreMemory
    ? undefined
    : memories.find(({ memory, c, rank }) => (memory.hostBytes ?? 0) > runs[c]!.costs[rank]!.hostCapacityBytes);
  if (crowded !== undefined) {
    const { costs, at } = runs[crowded.c]!;
    return {
      kind: "infeasible",
      reason: "hostMemory",
      pipelineRank: crowded.rank,
      ...(cluster.groups === undefined ? {} : { devices: devicesOf(cluster, at.sites[crowded.rank]!) }),
      needBytes: crowded.memory.hostBytes ?? 0,
      haveBytes: costs[crowded.rank]!.hostCapacityBytes,
      memory: crowded.memory,
    };
  }

  const ends = runs.map((run) => endPipeline(run, cluster));
  // All ranks meet in the gradient norm; then each updates its own parameters.
  let meetSec = 0;
  let tailSec = 0;
  let paceClass = 0;
  ends.forEach(({ tails, flushes, replicaSec }, c) => {
    tails.forEach(({ reduce, update, gather }, rank) => {
      const readySec = flushes[rank]!.readySec + reduce.durationSec + replicaSec[rank]!;
      if (readySec > meetSec) paceClass = c;
      meetSec = Math.max(meetSec, readySec);
      tailSec = Math.max(tailSec, update.durationSec + gather.durationSec);
    });
  });
  const synchronousSec = meetSec + tailSec;
  const numDevices = meshSize(mesh);
  const straggler = waitedFrac();
  const stepSec = synchronousSec * (1 + straggler);

  const paceRun = runs[paceClass]!;
  const paceEnd = ends[paceClass]!;
  const pace = paceEnd.paceRank;

  /** Where the machine's interruptions were measured, ranks wait for those; else for the slowest of devices and nodes as they are made. */
  function waitedFrac(): number {
    const interruptions = cluster.groups === undefined ? interruptionsOf(cluster.device, numDevices) : null;
    if (interruptions === null) return stragglerFrac(nodesOf(cluster, kinds, numDevices), options.noise);
    const numMeetings = meetingsOf(runs[paceClass]!, ends[paceClass]!, ends[paceClass]!.paceRank);
    return (
      interruptedWaitSec(interruptions, { busySec: synchronousSec, numMeetings, numRanks: numDevices }) / synchronousSec
    );
  }

  const { computeFloor } = options.contention;
  const clockAt = (at: RankSite) => Math.min(...at.kinds.map(({ group }) => clocks[group]!));

  const energyJoules = () =>
    kinds.list.reduce((sum, { group, view, numDevices: numOfKind }) => {
      const joules = meanJoules(runs, ends, group);
      const at = { stepSec, numDevices: numOfKind, joules, clockFrac: clocks[group]! };
      return sum + stepEnergyJoules(view, at, options.power);
    }, 0);
  const brief = (): StepBrief => ({
    kind: "ok",
    stepSec,
    energyJoules: energyJoules(),
    peakBytes: fullest.memory.peakBytes,
    clockFrac: clockAt(paceRun.at.sites[pace]!),
  });
  const step = (): StepResult => {
    const ranks = runs.flatMap((run, c) => {
      const { at, program: own, variants, timeline } = run;
      const end = ends[c]!;
      return end.totals.map(
        (total, rank): RankClass => ({
          ...rankClass({
            rank,
            numRanks: mesh.tp * mesh.cp * at.replicas.length,
            total,
            tail: end.tails[rank]!,
            timeline,
            spillSec: end.flushes[rank]!.spillSec,
            heldSec: heldSeconds(timeline, variants, rank),
            gatherSec: run.gathers?.busySec[rank] ?? 0,
            replicaSec: end.replicaSec[rank]!,
            stepSec,
            stragglerSec: stepSec - synchronousSec,
            messageSec: messageSeconds(own, timeline, rank, run.transferSec),
            memory: run.memory.ranks[rank]!,
          }),
          ...(cluster.groups === undefined
            ? {}
            : { devices: devicesOf(cluster, at.sites[rank]!), clockFrac: clockAt(at.sites[rank]!) }),
          ...(runs.length === 1 ? {} : { pipeline: c, microBatches: own.microBatchesPerStep }),
        }),
      );
    });
    const costsBeforeUpdate = (run: PipelineRun, end: PipelineEnd, rank: number) => {
      const costs: { cost: ActionCost; times: number }[] = [];
      const { schedule } = run.program;
      const { prices, actions } = run.costs[rank]!;
      forEachAction({ schedule, variants: run.variants, actions, rank }, (cost, times) => costs.push({ cost, times }));
      const { reduce, gather } = end.tails[rank]!;
      costs.push({ cost: reduce, times: 1 }, { cost: gather, times: 1 });
      const { spillSec } = end.flushes[rank]!;
      costs.push({ cost: flushCost(prices, { rank, spillSec, computeFloor }), times: 1 });
      if (run.gathers !== null) {
        const heldSec = heldSeconds(run.timeline, run.variants, rank);
        costs.push({ cost: gatherCost(prices, schedule, { rank, heldSec, computeFloor }), times: 1 });
      }
      return costs;
    };
    const costs = [...costsBeforeUpdate(paceRun, paceEnd, pace), { cost: paceEnd.tails[pace]!.update, times: 1 }];
    const tokens = program.globalTokens;
    const causalFlops = tokens * flopsPerToken(model, { seqLen: workload.seqLen, convention: "causal" });
    const noncausalFlops = tokens * flopsPerToken(model, { seqLen: workload.seqLen, convention: "noncausal" });
    let hardwareFlops = 0;
    runs.forEach(({ at }, c) => {
      for (const { workFlops } of ends[c]!.totals)
        hardwareFlops += workFlops * (mesh.tp * mesh.cp * at.replicas.length);
    });
    const peak = perDevice(kinds, ({ device }) => {
      const peaks = device.peakFlopsPerSec;
      return peaks.bf16 ?? peaks.fp16 ?? peaks.fp32 ?? 0;
    });
    const share = (flops: number) => (peak > 0 ? flops / (stepSec * numDevices * peak) : 0);
    const lateFrac = program.reducePolicy === "everyMicroBatch" ? paceEnd.flushes[pace]!.spillSec / stepSec : 0;
    const usdPerHour = perDevice(kinds, (view) => view.usdPerDeviceHour ?? view.device.priceUsdPerHour ?? Number.NaN);
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
      usdPerBillionTokens: Number.isNaN(usdPerHour)
        ? null
        : ((usdPerHour * numDevices * stepSec) / 3600 / tokens) * 1e9,
      ranks,
      opTotals: opTotals(costs),
      ...(options.rankOps
        ? {
            rankOps: runs.flatMap((run, c) =>
              ends[c]!.totals.map((_, rank) => opTotals(costsBeforeUpdate(run, ends[c]!, rank))),
            ),
            updateOps: ends.flatMap(({ tails }) => tails.map(({ update }) => opTotals([{ cost: update, times: 1 }]))),
          }
        : {}),
      clockFrac: clockAt(paceRun.at.sites[pace]!),
      peakRank,
      notes: notesOf(program, {
        tooLarge: options.ignoreMemory && tooLarge,
        ranks,
        kinds,
        clocks,
        numDevices,
        cluster,
        lateFrac,
      }),
      sources: sourceShares(costs),
      ...(options.buffers
        ? {
            buffers: runs.flatMap(({ program: own, timeline, memory }) =>
              memory.ranks.map((_, rank) => peakBuffers(own, timeline, memory, rank)),
            ),
          }
        : {}),
      ...(options.timeline === null
        ? {}
        : {
            timeline: stepTimeline({
              program: paceRun.program,
              model,
              replica: paceRun.at.replicas[0]!,
              timeline: paceRun.timeline,
              memory: paceRun.memory,
              costs: paceRun.costs,
              variants: paceRun.variants,
              actionOptions: { computeFloor, full: options.full },
              meetSec,
              synchronousSec,
              stepSec,
              readySec: paceEnd.flushes.map((flush) => flush.readySec),
              replicaSec: paceEnd.replicaSec,
              limits: options.timeline,
            }),
          }),
    };
  };
  return {
    kind: "run",
    loads: new Map(kinds.list.map(({ group }) => [group, loadOf(runs, ends, group)])),
    memory: runs.map((run) => run.memory),
    step,
    brief,
  };
}

/** How often a rank meets others in a step: its collectives, its messages, and the norm of all gradients. */
function meetingsOf(run: PipelineRun, { tails }: PipelineEnd, rank: number): number {
  const { schedule } = run.program;
  const { actions } = run.costs[rank]!;
  let count = 1 + (schedule.numRanks > 1 ? schedule.actions[rank]!.length : 0);
  const add = ({ ops }: ActionCost, times: number) => {
    for (const op of ops.values()) if (meetingShares.has(op.share)) count += op.count * times;
  };
  forEachAction({ schedule, variants: run.variants, actions, rank }, add);
  for (const cost of Object.values(tails[rank]!)) add(cost, 1);
  return count;
}

const meetingShares = new Set(
  ["tp", "cp", "ep", "dp", "pp"].map((name) => SHARES.indexOf(name as (typeof SHARES)[number])),
);

function notesOf(
  program: Program,
  at: {
    readonly tooLarge: boolean;
    readonly ranks: readonly RankClass[];
    readonly kinds: Kinds;
    readonly clocks: readonly number[];
    readonly numDevices: number;
    readonly cluster: ClusterSpec;
    readonly lateFrac: number;
  },
): string[] {
  const { kinds, clocks, numDevices, cluster, lateFrac } = at;
  const notes: string[] = [];
  if (at.tooLarge) notes.push("The step does not fit memory; its time is given as if it did");
  const headroom = headroomNote(at.ranks);
  if (headroom !== null) notes.push(headroom);
  if (lateFrac > LATE_FRAC)
    notes.push(
      `Gradients are reduced after every micro-batch, and ${(lateFrac * 100).toFixed(0)} % of the step waits for it: zero1 reduces them once a step${
        program.schedule.numChunks > 1 && !program.schedule.splitBackward && program.schedule.replicas === 1
          ? ", reduce_gradients run after each run of a chunk's micro-batches"
          : ""
      }`,
    );
  for (const { group, view } of kinds.list) {
    const clockFrac = clocks[group]!;
    const whose = kinds.list.length === 1 ? "the clock" : `the clock of ${view.device.name}`;
    if (clockFrac < 1) notes.push(`Power limit holds ${whose} at ${(clockFrac * 100).toFixed(1)} % of boost`);
  }
  if (numDevices < cluster.numDevices)
    notes.push(`${cluster.numDevices - numDevices} of ${cluster.numDevices} devices stay idle`);
  if (program.schedule.replicas > 1)
    notes.push("Both directions of the schedule hold a copy of every stage's parameters");
  return notes;
}
