// Predicted against measured: step time, seconds of each op, bytes sent and live bytes. The prediction prices the cluster that the job names; how near it comes
// says how well that cluster is described (or calibrated). Bytes and memory follow from the program and must be equal.
//
// A step of a rank is ops, waiting for other ranks, and the host's work between ops; each has a row on both sides. Predicted rows add up to the step; measured ones are
// medians of their own, so that a disturbed step counts in none of them.

import type { Mesh, OpTotal, StepResult } from "@meshwright/core";
import type { RankMeasures } from "../launch/rankJob.ts";
import { type MeasuredOp, median } from "./opTotals.ts";
import type { PromisedBytes } from "./promisedBytes.ts";
import { separateWaits } from "./waits.ts";

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
  /** The same by kind of work: products, attention, other compute, communication by axis; waiting; the host between ops. */
  readonly kinds: readonly OpPair[];
  /** All ranks together. */
  readonly sentBytes: Pair;
  /** The fullest rank. */
  readonly peakBytes: Pair;
}

export interface MeasuredRun {
  readonly mesh: Mesh;
  readonly ranks: readonly RankMeasures[];
}

/** @param predicted with `rankOps`. */
export function compareRun(predicted: StepResult, promised: PromisedBytes, { mesh, ranks }: MeasuredRun): Comparison {
  // The op totals of a prediction are those of the rank that works most.
  let pipelineRank = 0;
  for (const [i, rank] of predicted.ranks.entries())
    if (rank.computeSec > predicted.ranks[pipelineRank]!.computeSec) pipelineRank = i;
  const own = predicted.ranks[pipelineRank]!;
  const shown = own.pipelineRank;
  const updateOps = predicted.updateOps?.[pipelineRank] ?? [];
  const measuredIndex = ranks.findIndex((rank) => rank.pipelineRank === shown);
  const measured = separateWaits(mesh, ranks, measuredIndex);
  const isWait = ({ name, kind }: MeasuredOp) => kind === "wait" || name.startsWith("receive from ");
  const ops = joined(
    [...(predicted.rankOps?.[pipelineRank] ?? predicted.opTotals), ...updateOps],
    measured.ops.filter((op) => !isWait(op)),
  );
  const stepSec = { predicted: predicted.stepSec, measured: measuredStepSec(ranks) };
  const updateOpsSec = sumOf(updateOps.map((op) => op.durationSec));
  const waiting = {
    predicted: own.bubbleSec + own.stragglerSec + Math.max(0, own.exposedSec.pp - ppCollectiveSec(ops)),
    measured: measured.waitSec + sumOf(measured.ops.filter(isWait).map((op) => op.durationSec)),
  };
  const host = {
    predicted: own.hostSec + Math.max(0, own.optimizerSec - updateOpsSec),
    measured: medianStep(ranks[measuredIndex]!.hostSec),
  };
  return {
    stepSec,
    pipelineRank: shown,
    ops,
    kinds: kindsOfWork(ops, { waiting, host }),
    sentBytes: { predicted: promised.sentBytes, measured: ranks.reduce((sum, { sentBytes }) => sum + sentBytes, 0) },
    peakBytes: {
      predicted: Math.max(...promised.peakBytes),
      measured: Math.max(...ranks.map(({ peakBytes }) => peakBytes)),
    },
  };
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** Predicted collectives between stages (tied embeddings, spread vocabularies): they have rows of their own. */
function ppCollectiveSec(ops: readonly OpPair[]): number {
  return sumOf(ops.filter(({ kind }) => kind === "pp").map((op) => op.predicted));
}

/** The slowest rank counts. */
function measuredStepSec(ranks: readonly RankMeasures[]): number {
  return Math.max(...ranks.map(({ stepSec }) => medianStep(stepSec)));
}

/** Median of the steps after the first, which compiles code; of the only one where there is no other. */
function medianStep(ofSteps: readonly number[]): number {
  return median(ofSteps.length > 1 ? ofSteps.slice(1) : ofSteps);
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

/** Sums of ops by kind, and the two rows that are no ops; most expensive first. */
function kindsOfWork(ops: readonly OpPair[], rest: { readonly waiting: Pair; readonly host: Pair }): OpPair[] {
  const kinds = new Map<string, OpPair>();
  for (const op of ops) {
    const name = kindOf(op);
    const known = kinds.get(name);
    kinds.set(name, {
      name,
      kind: op.kind,
      predicted: (known?.predicted ?? 0) + op.predicted,
      measured: (known?.measured ?? 0) + op.measured,
      predictedCount: (known?.predictedCount ?? 0) + op.predictedCount,
      measuredCount: (known?.measuredCount ?? 0) + op.measuredCount,
    });
  }
  const other = { kind: "compute", predictedCount: 0, measuredCount: 0 };
  const all = [
    ...kinds.values(),
    { name: "waiting for other ranks", ...other, ...rest.waiting },
    { name: "host, between ops", ...other, ...rest.host },
  ];
  return all.sort((a, b) => b.measured - a.measured || (a.name < b.name ? -1 : 1));
}

function kindOf({ name, kind }: OpPair): string {
  if (kind !== "compute") return kind === "copy" ? "copies between tiers" : `${kind} communication`;
  if (/^(grouped )?matmul /.test(name)) return "matrix products";
  if (/^attention/.test(name)) return "attention";
  if (/^optimizer|^newton-schulz|^grad norm/.test(name)) return "optimizer and gradient norm";
  return "other compute";
}
