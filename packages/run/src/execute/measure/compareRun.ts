// Predicted against measured: step time, seconds of each op, bytes sent and live bytes. The prediction prices the cluster that the job names; how near it comes
// says how well that cluster is described (or calibrated). Bytes and memory follow from the program and must be equal.

import type { OpTotal, StepResult } from "@meshwright/core";
import type { RankMeasures } from "../launch/rankJob.ts";
import { type MeasuredOp, median } from "./opTotals.ts";
import type { PromisedBytes } from "./promisedBytes.ts";

export interface Pair {
  readonly predicted: number;
  readonly measured: number;
}

export interface OpPair extends Pair {
  readonly name: string;
  readonly kind: string;
  readonly predictedCount: number;
  readonly measuredCount: number;
}

export interface Comparison {
  readonly stepSec: Pair;
  /** Pipeline rank whose ops are shown: the one that sets the predicted pace. */
  readonly pipelineRank: number;
  /** Seconds; most expensive first by the larger of both. */
  readonly ops: readonly OpPair[];
  /** The same by kind of work: products, attention, other compute, communication by axis. */
  readonly kinds: readonly OpPair[];
  /** All ranks together. */
  readonly sentBytes: Pair;
  /** The fullest rank. */
  readonly peakBytes: Pair;
}

export function compareRun(predicted: StepResult, promised: PromisedBytes, ranks: readonly RankMeasures[]): Comparison {
  // The op totals of a prediction are those of the rank that works most.
  let pipelineRank = 0;
  for (const [i, rank] of predicted.ranks.entries())
    if (rank.computeSec > predicted.ranks[pipelineRank]!.computeSec) pipelineRank = i;
  const own = predicted.ranks[pipelineRank]!;
  const ofRank = predicted.rankOps?.[pipelineRank] ?? predicted.opTotals;
  const shown = own.pipelineRank;
  const ops = joined(ofRank, ranks.find((rank) => rank.pipelineRank === shown)?.ops ?? []);
  const stepSec = { predicted: predicted.stepSec, measured: measuredStepSec(ranks) };
  return {
    stepSec,
    pipelineRank: shown,
    ops,
    kinds: kindsOfWork(ops, own.optimizerSec, stepSec),
    sentBytes: { predicted: promised.sentBytes, measured: ranks.reduce((sum, { sentBytes }) => sum + sentBytes, 0) },
    peakBytes: {
      predicted: Math.max(...promised.peakBytes),
      measured: Math.max(...ranks.map(({ peakBytes }) => peakBytes)),
    },
  };
}

/** Median of the steps after the first, which compiles code; of the only one where there is no other. The slowest rank counts. */
function measuredStepSec(ranks: readonly RankMeasures[]): number {
  return Math.max(...ranks.map(({ stepSec }) => median(stepSec.length > 1 ? stepSec.slice(1) : stepSec)));
}

function joined(predicted: readonly OpTotal[], measured: readonly MeasuredOp[]): OpPair[] {
  const pairs = new Map<string, OpPair>();
  for (const { name, kind, count, durationSec } of predicted)
    pairs.set(name, { name, kind, predicted: durationSec, measured: 0, predictedCount: count, measuredCount: 0 });
  for (const { name, kind, count, durationSec } of measured) {
    const known = pairs.get(name) ?? { name, kind, predicted: 0, measured: 0, predictedCount: 0, measuredCount: 0 };
    pairs.set(name, { ...known, measured: durationSec, measuredCount: count });
  }
  return [...pairs.values()].sort(
    (a, b) => Math.max(b.predicted, b.measured) - Math.max(a.predicted, a.measured) || (a.name < b.name ? -1 : 1),
  );
}

/**
 * Sums of ops by kind. Predictions give the optimizer as a whole, so it is a kind without ops; what is left of the step is waiting for other ranks, stage sends
 * and the host. Where predicted kinds overlap, more is predicted than the step takes, and nothing is left.
 */
function kindsOfWork(ops: readonly OpPair[], optimizerSec: number, stepSec: Pair): OpPair[] {
  const kinds = new Map<string, OpPair>();
  const add = (name: string, op: Omit<OpPair, "name">) => {
    const known = kinds.get(name);
    kinds.set(name, {
      name,
      kind: op.kind,
      predicted: (known?.predicted ?? 0) + op.predicted,
      measured: (known?.measured ?? 0) + op.measured,
      predictedCount: (known?.predictedCount ?? 0) + op.predictedCount,
      measuredCount: (known?.measuredCount ?? 0) + op.measuredCount,
    });
  };
  for (const op of ops) add(kindOf(op), op);
  add(optimizerKind, { kind: "compute", predicted: optimizerSec, measured: 0, predictedCount: 0, measuredCount: 0 });
  const all = [...kinds.values()];
  const rest = (side: "predicted" | "measured") =>
    Math.max(0, stepSec[side] - all.reduce((sum, kind) => sum + kind[side], 0));
  add("waiting, stage sends, host", {
    kind: "compute",
    predicted: rest("predicted"),
    measured: rest("measured"),
    predictedCount: 0,
    measuredCount: 0,
  });
  return [...kinds.values()].sort((a, b) => b.measured - a.measured || (a.name < b.name ? -1 : 1));
}

const optimizerKind = "optimizer and gradient norm";

function kindOf({ name, kind }: OpPair): string {
  if (kind !== "compute") return kind === "copy" ? "copies between tiers" : `${kind} communication`;
  if (/^(grouped )?matmul /.test(name)) return "matrix products";
  if (/^attention/.test(name)) return "attention";
  if (/^optimizer|^newton-schulz|^grad norm/.test(name)) return optimizerKind;
  return "other compute";
}
