// Seconds of one action of a stage in steady state: what it costs, what of that is exposed communication and host time, and what it leaves
// running (spill). Built from the stream engine; long stages are extrapolated from a few of their repeated blocks.

import type { PricedOp } from "../../cost/priceOps.ts";
import { assert } from "../../units/errors.ts";
import type { BlockPrices } from "./blockPrices.ts";
import { type ActionRequest, type BuiltAction, buildAction } from "./buildAction.ts";
import { compressBlocks, type SkippedRepeats } from "./repeats.ts";
import { type ChargeLog, runStreams, type StreamRun } from "./runStreams.ts";
import { HOST_SHARE, NUM_SHARES, NUM_STREAMS, STREAMS } from "./streamOps.ts";

const REDUCE = STREAMS.indexOf("reduce");

/** Totals of one named op in one action. */
export interface OpShare {
  readonly name: string;
  readonly share: number;
  count: number;
  durationSec: number;
  exposedSec: number;
  workFlops: number;
  sizeBytes: number;
  source: string;
}

/** Uncertainty of exposed seconds, by source of the price. */
export interface SourceShare {
  sec: number;
  stdSec: number;
}

export interface ActionCost {
  readonly durationSec: number;
  /** Seconds by SHARES that the action's duration is made of; they add up to it. */
  readonly shares: Float64Array;
  /** Seconds by SHARES that ops ran, hidden or not. */
  readonly busy: Float64Array;
  /** Streams still busy after the action: reductions and copies that run beside what follows. */
  readonly spillSec: number;
  /** Seconds of gradient reductions on the stream of their own. */
  readonly reduceSec: number;
  readonly ops: ReadonlyMap<string, OpShare>;
  readonly sources: ReadonlyMap<string, SourceShare>;
  readonly workFlops: number;
  /** Matrix work among the busy compute seconds. */
  readonly matrixSec: number;
  /** Dynamic energy of its ops at boost clock. */
  readonly joules: number;
}

export const emptyAction: ActionCost = {
  durationSec: 0,
  shares: new Float64Array(NUM_SHARES),
  busy: new Float64Array(NUM_SHARES),
  spillSec: 0,
  reduceSec: 0,
  ops: new Map(),
  sources: new Map(),
  workFlops: 0,
  matrixSec: 0,
  joules: 0,
};

export interface ActionOptions {
  readonly computeFloor: number;
  /** Simulate every block (the slow twin). */
  readonly full?: boolean;
}

/** Two periods that differ by less are one: the streams are in steady state. */
const STEADY_FRAC = 0.005;

export function simulateAction(prices: BlockPrices, request: ActionRequest, options: ActionOptions): ActionCost {
  const { built, run, skipped } = simulateBuilds(buildsOf(prices, request), options);
  return actionCost(built, run, skipped);
}

/** An action ready for the stream engine: with repeats left out where there are any, and whole. */
export interface ActionBuilds {
  readonly short: { readonly built: BuiltAction; readonly skipped: readonly SkippedRepeats[] } | null;
  readonly whole: () => BuiltAction;
}

export function buildsOf(prices: BlockPrices, request: ActionRequest): ActionBuilds {
  const { kept, skipped } = compressBlocks(request.blocks);
  let whole: BuiltAction | null = null;
  return {
    short: skipped.length === 0 ? null : { built: buildAction(prices, { ...request, blocks: kept }), skipped },
    whole: () => {
      whole ??= buildAction(prices, request);
      return whole;
    },
  };
}

export interface SteadyRun {
  readonly built: BuiltAction;
  readonly run: StreamRun;
  readonly skipped: readonly SkippedRepeats[];
}

export function simulateBuilds(builds: ActionBuilds, options: ActionOptions): SteadyRun {
  if (options.full !== true && builds.short !== null) {
    const { built, skipped } = builds.short;
    const cold = runStreams(built.ops, 0, options.computeFloor);
    // Where every launch follows the op before, repeats are alike although the host takes its time.
    if (built.ops.selfIssued || !hostBound(cold)) {
      const run = warmed(built, cold, options.computeFloor);
      if (skipped.every((skip) => isSteady(built, run, skip))) return { built, run, skipped };
    }
  }
  const built = builds.whole();
  return { built, run: runSteady(built, options.computeFloor), skipped: [] };
}

/** Cost of a sequence built by other means (a step's tail): the host has just synchronised, so it starts with no lead. */
export function simulateBuilt(built: BuiltAction, options: ActionOptions): ActionCost {
  return actionCost(built, runStreams(built.ops, 0, options.computeFloor), []);
}

/**
 * A run as it goes in the middle of a step. The host does not wait for the device, so by the time an action starts it is ahead by what the action before
 * left idle: the first run measures that lead, the second uses it. When the host is the bottleneck the second run lasts exactly the host's time.
 */
function runSteady(built: BuiltAction, computeFloor: number): StreamRun {
  return warmed(built, runStreams(built.ops, 0, computeFloor), computeFloor);
}

function warmed(built: BuiltAction, cold: StreamRun, computeFloor: number): StreamRun {
  const leadSec = leadOf(built, cold);
  return leadSec === 0 ? cold : runStreams(built.ops, leadSec, computeFloor);
}

/** How far the host is ahead when an action starts after another like it; without a lead the first run is the steady one. */
function leadOf(built: BuiltAction, cold: StreamRun): number {
  if (built.ops.selfIssued || cold.shares[HOST_SHARE]! <= 0) return 0;
  return Math.max(0, cold.durationSec - cold.hostEndSec);
}

/** The host's lead grows or melts along the whole action, so no few layers stand for the rest. The first layer's launches do not count. */
function hostBound(run: StreamRun): boolean {
  return run.shares[HOST_SHARE]! > 1e-3 * run.durationSec;
}

/** Equal periods, in which every stream advances alike: a growing backlog (of reductions, of copies to the host) drains at another speed than it grows. */
function isSteady(built: BuiltAction, run: StreamRun, skip: SkippedRepeats): boolean {
  const { positionEndSec } = run;
  const earlier = positionEndSec[skip.from]! - positionEndSec[skip.before]!;
  const later = positionEndSec[skip.to]! - positionEndSec[skip.from]!;
  if (Math.abs(later - earlier) > STEADY_FRAC * later) return false;
  const from = streamEnds(built, run, skip.from);
  const to = streamEnds(built, run, skip.to);
  return to.every((end, stream) => end === 0 || Math.abs(end - from[stream]! - later) <= STEADY_FRAC * later);
}

/** How often each position of a run stands in the action. */
export function positionWeights({ run, skipped }: SteadyRun): Float64Array {
  const weights = new Float64Array(run.positionEndSec.length).fill(1);
  for (const { times, from, to } of skipped)
    for (let position = from + 1; position <= to; position++) weights[position]! += times;
  return weights;
}

/** Seconds of the whole action. */
export function steadySeconds({ run, skipped }: SteadyRun): number {
  let { durationSec } = run;
  for (const { times, from, to } of skipped)
    durationSec += times * (run.positionEndSec[to]! - run.positionEndSec[from]!);
  return durationSec;
}

function actionCost(built: BuiltAction, run: StreamRun, skipped: readonly SkippedRepeats[]): ActionCost {
  const { ops, priced, firstPiece } = built;
  const weights = positionWeights({ built, run, skipped });
  const durationSec = steadySeconds({ built, run, skipped });
  const shares = run.shares.slice();
  for (const { times, from, to } of skipped) {
    for (let k = 0; k < NUM_SHARES; k++)
      shares[k]! += times * (run.positionShares[to * NUM_SHARES + k]! - run.positionShares[from * NUM_SHARES + k]!);
  }
  const busy = new Float64Array(NUM_SHARES);
  const totals = new Map<string, OpShare>();
  const sources = new Map<string, SourceShare>();
  let workFlops = 0;
  let matrixSec = 0;
  let joules = 0;
  let reduceSec = 0;
  for (let i = 0; i < priced.length; i++) {
    const each = priced[i]!;
    const weight = weights[ops.position[i]!]!;
    const lasted = (run.endSec[i]! - run.startSec[i]!) * weight;
    const exposed = run.exposedSec[i]! * weight;
    const share = ops.share[i]!;
    busy[share]! += lasted;
    if (each.matrix) matrixSec += lasted;
    if (ops.stream[i] === REDUCE) reduceSec += lasted;
    let total = totals.get(each.name);
    if (total === undefined) {
      total = {
        name: each.name,
        share,
        count: 0,
        durationSec: 0,
        exposedSec: 0,
        workFlops: 0,
        sizeBytes: 0,
        source: each.source,
      };
      totals.set(each.name, total);
    }
    total.durationSec += lasted;
    total.exposedSec += exposed;
    if (firstPiece[i] === 1) {
      total.count += weight;
      total.workFlops += each.workFlops * weight;
      total.sizeBytes += each.sizeBytes * weight;
      workFlops += each.workFlops * weight;
      joules += each.joules * weight;
    }
    let source = sources.get(each.source);
    if (source === undefined) {
      source = { sec: 0, stdSec: 0 };
      sources.set(each.source, source);
    }
    source.sec += exposed;
    source.stdSec += exposed * each.relStd;
  }
  const sum = shares.reduce((a, b) => a + b, 0);
  assert(
    Math.abs(sum - durationSec) <= 1e-9 + 1e-6 * durationSec,
    `shares of an action add up: ${sum} of ${durationSec}`,
  );
  const { spillSec } = run;
  return { durationSec, shares, busy, spillSec, reduceSec, ops: totals, sources, workFlops, matrixSec, joules };
}

/** When the last op of a position ends on each stream; 0 where it has none. */
function streamEnds(built: BuiltAction, run: StreamRun, position: number): Float64Array {
  const { ops } = built;
  const ends = new Float64Array(NUM_STREAMS);
  for (let i = 0; i < ops.position.length; i++) {
    if (ops.position[i] !== position) continue;
    const stream = ops.stream[i]!;
    ends[stream] = Math.max(ends[stream]!, run.endSec[i]!);
  }
  return ends;
}

/** One op on a stream, for traces. */
export interface StreamSpan {
  readonly priced: PricedOp;
  /** Part of the op that this piece is (ops pipelined with another run in pieces). */
  readonly partFrac: number;
  readonly stream: string;
  readonly startSec: number;
  readonly durationSec: number;
  /** Seconds of it that the action was charged with: it held the action up. */
  readonly exposedSec: number;
}

/** An action laid out for a timeline, uncompressed. */
export interface ActionLayout {
  readonly spans: readonly StreamSpan[];
  /** What each instant was charged to, as runStreams does it. */
  readonly charges: ChargeLog;
}

/** Every op of an action with its place on the streams, in steady state. */
export function actionLayout(prices: BlockPrices, request: ActionRequest, options: ActionOptions): ActionLayout {
  const built = buildAction(prices, request);
  const cold = runStreams(built.ops, 0, options.computeFloor);
  return builtLayout(built, options, leadOf(built, cold));
}

/** @param hostLeadSec as runStreams takes it; a step's tail starts with none. */
export function builtLayout(built: BuiltAction, options: ActionOptions, hostLeadSec = 0): ActionLayout {
  const charges: ChargeLog = { lengthSec: [], share: [] };
  const run = runStreams(built.ops, hostLeadSec, options.computeFloor, charges);
  const spans = built.priced.map((priced, i) => ({
    priced,
    partFrac: priced.durationSec > 0 ? built.ops.durationSec[i]! / priced.durationSec : 1,
    stream: STREAMS[built.ops.stream[i]!]!,
    startSec: run.startSec[i]!,
    durationSec: run.endSec[i]! - run.startSec[i]!,
    exposedSec: run.exposedSec[i]!,
  }));
  return { spans, charges };
}
