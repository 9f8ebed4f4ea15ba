// Uneven work for uneven devices: layers of each stage by the speed of its devices, micro-batches of each replica by the speed of its pipeline.
//
// Speed is what the cost model says: every block of the program is priced on the devices of every pipeline rank, forward and backward, and layers are dealt so
// that the dearest stage is as cheap as possible (embedding and head included). Where a stage then overflows its memory it gets a layer less, until all fit.
// Left out of the balance, though not of the prediction: sustained clocks, messages, and what hides behind the bubble.

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
  const numStages = program.schedule.numStages - (spec.strategy.vocabOverStages === true ? spec.strategy.pp : 0);
  const caps = new Array<number>(numStages).fill(speeds.layers.length);
  let first: number[] | undefined;
  // A layer less for the stage that overflows, until all fit: no more tries than there are layers to take away.
  for (;;) {
    const counts = dealByCost({
      numStages,
      numLayers: speeds.layers.length,
      costSec: (stage, layer) => speeds.blockSec(stage, speeds.layers[layer]!),
      endSec: (stage) => speeds.endsOf(stage).reduce((sum, block) => sum + speeds.blockSec(stage, block), 0),
      cap: (stage) => caps[stage]!,
    });
    // Nothing fits: the balance by speed alone, and the prediction says what is missing.
    if (counts === null) return first!;
    first ??= counts;
    if (options.ignoreMemory === true) return counts;
    const tried = probe(spec, { stageLayers: counts });
    const result = simulateProgram(lower(tried), tried, { ...options, timeline: false });
    if (result.kind === "ok") return counts;
    const stages = program.schedule.stageOf[result.pipelineRank]!.filter((stage) => stage < numStages);
    const fullest = stages.reduce((a, b) => (counts[b]! > counts[a]! ? b : a));
    if (counts[fullest]! <= 1) return first;
    caps[fullest] = counts[fullest]! - 1;
  }
}

/** Micro-batches of each data parallel replica; the strategy's stages are settled. */
export function balancedShares(spec: StepSpec, options: SimulateOptions = {}): number[] {
  const even = probe(spec, {});
  const program = lower(even);
  const { strategy, workload } = spec;
  const total = workload.globalBatch / strategy.microBatch;
  const unit = shareUnit(strategy);
  if (total % unit !== 0 || total < unit * strategy.dp)
    throw new InputError({
      path: "strategy.replica_shares",
      message: `Schedule "${strategy.schedule}" takes micro-batches in units of ${unit}: ${total} do not give each of dp=${strategy.dp} replicas whole units`,
      hint: `use a global_batch that is a multiple of ${unit * strategy.microBatch}, at least ${unit * strategy.microBatch * strategy.dp}`,
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
  return dealShares({ microSec, total, fill: strategy.pp - 1, unit });
}

/** A strategy that lowers whatever is still to be balanced: equal shares, rounded down. */
function probe(spec: StepSpec, change: Partial<Strategy>): StepSpec {
  const { balanceStages: _, balanceShares, ...strategy } = { ...spec.strategy, ...change };
  if (balanceShares !== true) return { ...spec, strategy };
  const unit = shareUnit(strategy);
  const share = Math.max(1, Math.floor(spec.workload.globalBatch / (strategy.microBatch * strategy.dp * unit))) * unit;
  const workload = { ...spec.workload, globalBatch: share * strategy.microBatch * strategy.dp };
  return { ...spec, strategy, workload };
}

function lower({ model, strategy, workload, software }: StepSpec): Program {
  return lowerTraining(model, strategy, workload, software);
}

/** Micro-batches come in multiples of this for the schedule. */
function shareUnit({ schedule, pp, numChunks }: Strategy): number {
  const takes = (numMicroBatches: number) =>
    checkScheduleRequest(schedule, { numRanks: pp, numChunks, numMicroBatches }).length === 0;
  return [1, 2, pp, 2 * pp].find((unit) => takes(2 * pp * unit) && takes((2 * pp + 1) * unit)) ?? 2 * pp;
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
