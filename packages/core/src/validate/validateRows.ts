// Training, memory and serving rows of one JSON Lines text. Each row is judged alone: one that breaks says so and the others go on.

import { isServingRow } from "./detect.ts";
import { readJsonLines } from "./jsonLines.ts";
import { type Row, text as textOf } from "./rowReader.ts";
import { type Predictor, scoreTrainingRow } from "./scoreTraining.ts";
import type { InputFinding, ValidationRow } from "./types.ts";

export function validateRows(
  text: string,
  predict: Predictor,
): { readonly rows: readonly ValidationRow[]; readonly findings: readonly InputFinding[] } {
  const { rows, findings } = readJsonLines(text);
  return {
    rows: rows.map(({ row }) => (isServingRow(row) ? servingRow(row) : scoreTrainingRow(row, predict))),
    findings,
  };
}

function servingRow(row: Row): ValidationRow {
  return {
    id: textOf(row, "id") ?? "unnamed row",
    source_key: textOf(row, "source_key") ?? textOf(row, "source") ?? "unknown source",
    tier: `serving-${textOf(row, "quality") ?? "?"}`,
    status: "unsupported",
    reason: "a serving row: requests, schedulers and KV caches are not simulated",
  };
}
