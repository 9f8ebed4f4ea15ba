// Uneven work for uneven devices: layers of each stage by the speed of its devices, micro-batches of each replica by the speed of its pipeline.
//
// Speed is what the cost model says: every block of the program is priced on the devices of every pipeline rank, forward and backward, and layers are dealt so
// that the dearest stage is as cheap as possible (embedding and head included). The dealt step is simulated: a stage that overflows its memory gets a layer
// less, and where ranks worked more or less than their blocks cost (sustained clocks, overlap) the next deal knows. The fastest step of these is taken.
// Shares of micro-batches follow from what the dearest rank of a replica's pipeline works for one. Left out there: sustained clocks and messages.

import { lowerTraining } from "../parallel/lower/index.ts";
import type { Program } from "../parallel/program.ts";
import { pipelineClasses } from "../parallel/rankSites.ts";
import { checkScheduleRequest } from "../parallel/schedules/index.ts";
import type { Strategy } from "../parallel/strategy.ts";
import { InputError } from "../units/errors.ts";
import { dealByCost, dealShares } from "./dealByCost.ts";
import { type ResolvedOptions, resolveOptions, type SimulateOptions } from "./options.ts";
import type { StepSpec } from "./predictStep.ts";
import { simulateProgram } from "./simulateProgram.ts";
import { siteCosts } from "./siteCosts.ts";
import type { ActionOps } from "./streams/buildAction.ts";
import { simulateAction } from "./streams/simulateAction.ts";
import type { RankClass } from "./types.ts";

/** The spec with what was to be balanced in numbers; itself when nothing was. `spec.cluster` holds the groups in their order. */
export function settleBalance(spec: StepSpec, options: SimulateOptions = {}): StepSpec {
  let settled = spec;
  if (settled.strategy.balanceStages === true) {
    const { balanceStages: _, ...strategy } = settled.strategy;
    settled = { ...settled, strategy: { ...strategy, stageLayers: balancedStageLayers(settled, options) } };
  }
  if (settled.strategy.balanceShares === true) {
    const { balanceShares: _, ...strategy } = settled.strategy;
    settled = { ...settled, strategy: { ...strategy, replicaShares: balancedShares(settled, options) } };
  }
  return settled;
}

/** Layers of each stage for this strategy on this cluster, in model order. Even where stages are alike and memory allows. */
export function balancedStageLayers(spec: StepSpec, options: SimulateOptions = {}): number[] {
  const even = probe(spec, { stageLayers: null });
  const program = lower(even);
  const speeds = stageSpeeds(even, program, resolveOptions(options));
  const { strategy } = spec;
  const numStages = program.schedule.numStages - (strategy.vocabOverStages === true ? strategy.pp : 0);
  const numLayers = speeds.layers.length;
  const caps = new Array<number>(numStages).fill(numLayers);
  const pace = new Array<number>(numStages).fill(1);
  const loadSec = (stage: number, blocks: readonly number[]) =>
    blocks.reduce((sum, block) => sum + pace[stage]! * speeds.blockSec(stage, block), 0);
  const tried = new Set<string>();
  let first: number[] | undefined;
  let best: { readonly counts: number[]; readonly stepSec: number } | undefined;
  // Every round takes a layer from a stage that overflows, or deals by the pace that the last round showed; it ends when a round is no
  // faster, or a deal returns.
  for (;;) {
    const counts = dealByCost({
      numStages,
      numLayers,
      costSec: (stage, layer) => loadSec(stage, [speeds.layers[layer]!]),
      endSec: (stage) => loadSec(stage, speeds.endsOf(stage)),
      cap: (stage) => caps[stage]!,
    });
    if (counts === null || tried.has(counts.join())) break;
    tried.add(counts.join());
    first ??= counts;
    const dealt = probe(spec, { stageLayers: counts });
    const result = simulateProgram(lower(dealt), dealt, { ...options, timeline: false });
    const stagesOf = (rank: number) => program.schedule.stageOf[rank]!.filter((stage) => stage < numStages);
    if (result.kind === "infeasible") {
      const fullest = stagesOf(result.pipelineRank).reduce((a, b) => (counts[b]! > counts[a]! ? b : a));
      if (counts[fullest]! <= 1) break;
      caps[fullest] = counts[fullest]! - 1;
      continue;
    }
    if (best !== undefined && result.stepSec >= best.stepSec) break;
    best = { counts, stepSec: result.stepSec };
    // What a rank really worked over what its blocks cost: sustained clocks, overlap.
    const starts = counts.map((_, stage) => counts.slice(0, stage).reduce((sum, n) => sum + n, 0));
    for (let rank = 0; rank < strategy.pp; rank++) {
      const workedSec = Math.max(...result.ranks.filter((each) => each.pipelineRank === rank).map(workSec));
      const pricedSec = stagesOf(rank).reduce((sum, stage) => {
        const layers = speeds.layers.slice(starts[stage]!, starts[stage]! + counts[stage]!);
        return sum + loadSec(stage, [...layers, ...speeds.endsOf(stage)]) / pace[stage]!;
      }, 0);
      for (const stage of stagesOf(rank)) pace[stage] = workedSec / pricedSec;
    }
  }
  // Nothing fits: the balance by speed alone, and the prediction says what is missing.
  return best?.counts ?? first!;
}

/** Seconds of a rank's own actions. */
function workSec(rank: RankClass): number {
  const { tp, cp, ep, copy } = rank.exposedSec;
  return rank.computeSec + rank.hostSec + tp + cp + ep + copy;
}

/** Micro-batches of each data parallel replica; the strategy's stages are settled. */
export function balancedShares(spec: StepSpec, options: SimulateOptions = {}): number[] {
  const even = probe(spec, {});
  const program = lower(even);
  const { strategy, workload } = spec;
  const total = workload.globalBatch / strategy.microBatch;
  const { unit, least } = shareSizes(strategy);
  if (total % unit !== 0 || total < least * strategy.dp)
    throw new InputError({
      path: "strategy.replica_shares",
      message: `Schedule "${strategy.schedule}" takes micro-batches in units of ${unit}, at least ${least}: ${total} do not give each of dp=${strategy.dp} replicas as many`,
      hint: `use a global_batch that is a multiple of ${unit * strategy.microBatch}, at least ${least * strategy.microBatch * strategy.dp}`,
    });
  const resolved = resolveOptions(options);
  const costsAt = siteCosts(spec, resolved, clocksOf(spec));
  const microSec = new Array<number>(strategy.dp).fill(0);
  for (const each of pipelineClasses(spec.cluster, program.mesh)) {
    let slowestSec = 0;
    each.sites.forEach((site, rank) => {
      const { actions } = costsAt(program, site);
      const sec = program.schedule.stageOf[rank]!.reduce(
        (sum, stage) => sum + backAndForth(program, (kind) => actions.cost(stage, kind, "plain").durationSec),
        0,
      );
      slowestSec = Math.max(slowestSec, sec);
    });
    for (const replica of each.replicas) microSec[replica] = slowestSec;
  }
  const tried = new Set<string>();
  let best: { readonly shares: number[]; readonly stepSec: number } | undefined;
  // As with layers: what a micro-batch really took corrects the next deal, as long as that is faster.
  for (;;) {
    const shares = dealShares({ microSec, total, fill: strategy.pp - 1, unit, least });
    if (tried.has(shares.join())) return best!.shares;
    tried.add(shares.join());
    const dealt = probe({ ...spec, strategy: { ...strategy, balanceShares: false } }, { replicaShares: shares });
    const result = simulateProgram(lower(dealt), dealt, { ...options, timeline: false });
    // Shares do not change what fits: the prediction says what is missing.
    if (result.kind === "infeasible") return best?.shares ?? shares;
    if (best !== undefined && result.stepSec >= best.stepSec) return best.shares;
    best = { shares, stepSec: result.stepSec };
    pipelineClasses(spec.cluster, program.mesh, shares).forEach(({ replicas }, c) => {
      const ranks = result.ranks.filter((rank) => (rank.pipeline ?? 0) === c);
      const workedSec = Math.max(...ranks.map(workSec)) / shares[replicas[0]!]!;
      for (const replica of replicas) microSec[replica] = workedSec;
    });
  }
}

/** A strategy that lowers whatever is still to be balanced: equal shares, rounded down. */
function probe(spec: StepSpec, change: Partial<Strategy>): StepSpec {
  const { balanceStages: _, balanceShares, ...strategy } = { ...spec.strategy, ...change };
  if (balanceShares !== true) return { ...spec, strategy };
  const { unit, least } = shareSizes(strategy);
  const equal = spec.workload.globalBatch / (strategy.microBatch * strategy.dp);
  const share = Math.max(least, unit * Math.floor(equal / unit));
  const workload = { ...spec.workload, globalBatch: share * strategy.microBatch * strategy.dp };
  return { ...spec, strategy, workload };
}

function lower({ model, strategy, workload, software }: StepSpec): Program {
  return lowerTraining(model, strategy, workload, software);
}

/** Micro-batches of one replica come in multiples of `unit`, at least `least`, for the schedule to take them. */
function shareSizes({ schedule, pp, numChunks }: Strategy): { readonly unit: number; readonly least: number } {
  const takes = (numMicroBatches: number) =>
    checkScheduleRequest(schedule, { numRanks: pp, numChunks, numMicroBatches }).length === 0;
  const unit = [1, 2, pp].find((size) => takes(2 * pp * size) && takes((2 * pp + 1) * size)) ?? 2 * pp;
  let least = unit;
  while (least < 2 * pp && !takes(least)) least += unit;
  return { unit, least };
}

function clocksOf({ cluster }: StepSpec): readonly number[] {
  return (cluster.groups ?? [cluster]).map(() => 1);
}

function backAndForth(program: Program, secondsOf: (kind: ActionOps) => number): number {
  const backward: readonly ActionOps[] = program.schedule.splitBackward ? ["B", "W"] : ["BW"];
  return backward.reduce((sum, kind) => sum + secondsOf(kind), secondsOf("F"));
}

interface StageSpeeds {
  /** Block of each layer of the model, in order. */
  readonly layers: readonly number[];
  /** Blocks of a stage that hold no layers of their own: embedding, head. */
  readonly endsOf: (stage: number) => readonly number[];
  /** Seconds of a layer (or an end) in forward and backward on the devices of a stage; the slowest of the ranks and replicas that hold it. */
  readonly blockSec: (stage: number, block: number) => number;
}

function stageSpeeds(spec: StepSpec, program: Program, options: ResolvedOptions): StageSpeeds {
  const { schedule, stages } = program;
  const costsAt = siteCosts(spec, options, clocksOf(spec));
  const classes = pipelineClasses(spec.cluster, program.mesh);
  const actionOptions = { computeFloor: options.contention.computeFloor, full: options.full };
  const known = new Map<string, number>();
  const layers: number[] = [];
  const layersIn = new Map<number, number>();
  const ends = stages.map(() => [] as number[]);
  stages.forEach(({ uses }, stage) => {
    uses.forEach((use, i) => {
      const first = layerIndex(use.label);
      if (first === null) {
        ends[stage]!.push(use.block);
        return;
      }
      // A use reaches to the next one's first layer: layers that recompute together are one block.
      const encoder = use.label.startsWith("encoder.");
      const last = encoder ? spec.model.encoder!.layers.length : spec.model.layers.length;
      const count = (nextLayer(stages, { stage, use: i, encoder }) ?? last) - first;
      layersIn.set(use.block, count);
      for (let n = 0; n < count; n++) layers.push(use.block);
    });
  });
  const blockSec = (stage: number, block: number): number => {
    let slowestSec = 0;
    schedule.stageOf.forEach((held, rank) => {
      if (!held.includes(stage)) return;
      for (const { sites } of classes) {
        const key = `${block} ${sites[rank]!.key}`;
        let sec = known.get(key);
        if (sec === undefined) {
          const { prices } = costsAt(program, sites[rank]!);
          const asked = { blocks: [block], gather: false, reduce: false };
          sec =
            backAndForth(program, (kind) => simulateAction(prices, { ...asked, kind }, actionOptions).durationSec) /
            (layersIn.get(block) ?? 1);
          known.set(key, sec);
        }
        slowestSec = Math.max(slowestSec, sec);
      }
    });
    return slowestSec;
  };
  return { layers, endsOf: (stage) => ends[stage]!, blockSec };
}

/** `layers.7` is 7, `encoder.layers.7` too; null for anything else. */
function layerIndex(label: string): number | null {
  const found = /^(?:encoder\.)?layers\.(\d+)$/.exec(label);
  return found === null ? null : Number(found[1]);
}

/** First layer of the next use that holds layers of the same side. */
function nextLayer(
  stages: Program["stages"],
  after: { readonly stage: number; readonly use: number; readonly encoder: boolean },
): number | null {
  for (let s = after.stage; s < stages.length; s++)
    for (let i = s === after.stage ? after.use + 1 : 0; i < stages[s]!.uses.length; i++) {
      const { label } = stages[s]!.uses[i]!;
      const index = layerIndex(label);
      if (index !== null && label.startsWith("encoder.") === after.encoder) return index;
    }
  return null;
}
