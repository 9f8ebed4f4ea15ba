// Errors of this version's predictions by tier, source and quantity, as scripts/writeAccuracy.ts found them on all published rows.

import data from "./data/accuracy.json" with { type: "json" };
import type { Quantity } from "./types.ts";

export interface AccuracyEntry {
  readonly tier: string;
  readonly quantity: Quantity;
  /** `*`: all sources. */
  readonly source: string;
  readonly rows: number;
  /** Rows with a prediction. */
  readonly predicted: number;
  /** Mean, median and 90th percentile of |predicted / measured - 1|. */
  readonly mape: number;
  readonly median: number;
  readonly p90: number;
  /** Mean of predicted / measured - 1. */
  readonly bias: number;
}

/** The file is written by a script of the same shape. */
export const accuracySummary = data.entries as readonly AccuracyEntry[];
