// Guards accuracy without the measurements' files: predicts every fifth shipped run and reports the error per source. The limits beside the rows are
// what the last accepted version reached, rounded up by a point; a change that makes a source worse fails the test and must be explained.

import packed from "./data/rows.json" with { type: "json" };
import { type PackedRows, unpackRows } from "./packedRows.ts";
import { type Predictor, scoreTrainingRow } from "./scoreTraining.ts";
import { summarise } from "./summary.ts";
import type { SummaryEntry } from "./types.ts";

const everyNth = 5;

export function guardSummary(predict: Predictor): readonly SummaryEntry[] {
  const rows = unpackRows(packed as unknown as PackedRows).filter(
    (row, index) => index % everyNth === 0 && row.tier !== "aux",
  );
  return summarise(rows.map((row) => scoreTrainingRow(row, predict)));
}

/** `core step_time megatron-sc21`. */
export function guardKey(entry: SummaryEntry): string {
  return `${entry.tier} ${entry.quantity} ${entry.source_key}`;
}

/** Largest MAPE a source may show: the one reached, up to the next whole percent, plus one. */
export function limitOf(entry: SummaryEntry): number {
  return Math.ceil(entry.mape * 100) / 100 + 0.01;
}
