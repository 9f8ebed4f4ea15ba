// The rows of the accuracy page and what is said of a set of them. The figures come from a file that scripts/writeAccuracy.ts writes with docs/accuracy.md, so
// the page, the document and the note under a report say the same.

import type { PackedAccuracy } from "./packed.ts";

export type Quantity = "step" | "memory";

export interface AccuracyRow {
  readonly id: string;
  readonly tier: string;
  readonly source: string;
  /** Repository, file and section, or paper and table. */
  readonly citation: string;
  readonly framework: string;
  readonly accelerator: string;
  readonly model: string;
  readonly kind: string;
  readonly precision: string;
  readonly numDevices: number;
  readonly seqLen: number;
  /** Times are of a step; false: of one token on one device, where the source prints throughput only. */
  readonly isStep: boolean;
  readonly measuredSec: number | null;
  readonly predictedSec: number | null;
  readonly measuredBytes: number | null;
  readonly predictedBytes: number | null;
  readonly status: "predicted" | "does not fit" | "not expressed";
  /** Why the error is large, or why there is no prediction; "" when nothing is known. */
  readonly remark: string;
}

const GIB = 2 ** 30;
const statuses = ["predicted", "does not fit", "not expressed"] as const;

export function unpackAccuracy({ rows, lists }: PackedAccuracy): readonly AccuracyRow[] {
  const text = (list: readonly string[], at: number) => list[at] ?? "";
  const bytes = (gib: number | null) => (gib === null ? null : gib * GIB);
  return rows.map(
    ([
      id,
      tier,
      source,
      citation,
      framework,
      accelerator,
      model,
      kind,
      precision,
      numDevices,
      seqLen,
      isStep,
      measuredSec,
      predictedSec,
      measuredGib,
      predictedGib,
      status,
      remark,
    ]) => ({
      id,
      tier: text(lists.tiers, tier),
      source: text(lists.sources, source),
      citation: text(lists.citations, citation),
      framework: text(lists.frameworks, framework),
      accelerator: text(lists.accelerators, accelerator),
      model: text(lists.models, model),
      kind: text(lists.kinds, kind),
      precision: text(lists.precisions, precision),
      numDevices,
      seqLen,
      isStep: isStep === 1,
      measuredSec,
      predictedSec,
      measuredBytes: bytes(measuredGib),
      predictedBytes: bytes(predictedGib),
      status: statuses[status] ?? "not expressed",
      remark: text(lists.remarks, remark),
    }),
  );
}

/** A row that measures a quantity and has a prediction of it. */
export interface ScoredRow {
  readonly row: AccuracyRow;
  readonly measured: number;
  readonly predicted: number;
  /** predicted / measured - 1: positive is slower or larger than measured. */
  readonly error: number;
}

export function scored(rows: readonly AccuracyRow[], quantity: Quantity): readonly ScoredRow[] {
  return rows.flatMap((row) => {
    // Steps of the memory tier are tiny models on many hosts: they are scored for memory alone (validate/summary.ts).
    if (quantity === "step" && row.tier === "memory") return [];
    const [measured, predicted] =
      quantity === "step" ? [row.measuredSec, row.predictedSec] : [row.measuredBytes, row.predictedBytes];
    if (measured === null || predicted === null || !(measured > 0)) return [];
    return [{ row, measured, predicted, error: predicted / measured - 1 }];
  });
}

export interface ErrorSummary {
  readonly count: number;
  readonly mape: number;
  readonly median: number;
  readonly p90: number;
  readonly bias: number;
}

/** Null without rows. */
export function summaryOf(rows: readonly ScoredRow[]): ErrorSummary | null {
  if (rows.length === 0) return null;
  const sizes = rows.map(({ error }) => Math.abs(error)).sort((a, b) => a - b);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    count: rows.length,
    mape: mean(sizes),
    median: quantile(sizes, 0.5),
    p90: quantile(sizes, 0.9),
    bias: mean(rows.map(({ error }) => error)),
  };
}

/** Linear interpolation between order statistics of an ascending list that is not empty. */
function quantile(sorted: readonly number[], share: number): number {
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)]!;
  return low + ((sorted[Math.ceil(at)] ?? low) - low) * (at - Math.floor(at));
}

export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/** Errors in bins of `width` from -limit to limit; what lies beyond counts in the outermost. */
export function histogram(errors: readonly number[], width: number, limit: number): readonly Bin[] {
  const half = Math.round(limit / width);
  const counts = new Array<number>(2 * half).fill(0);
  for (const error of errors) {
    const bin = Math.min(2 * half - 1, Math.max(0, Math.floor(error / width + half)));
    counts[bin] = counts[bin]! + 1; // within the list, by the line above
  }
  return counts.map((count, i) => ({ from: (i - half) * width, to: (i - half + 1) * width, count }));
}
