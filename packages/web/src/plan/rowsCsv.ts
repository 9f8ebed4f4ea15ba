// The table as CSV, in base units: seconds, bytes, tokens per second, dollars.

import type { PlanRow } from "../compute/planRow.ts";

const columns = [
  ["layout", (row) => row.layout],
  ["tp", (row) => row.tp],
  ["cp", (row) => row.cp],
  ["pp", (row) => row.pp],
  ["dp", (row) => row.dp],
  ["ep", (row) => row.ep],
  ["micro_batch", (row) => row.microBatch],
  ["schedule", (row) => row.schedule],
  ["sharding", (row) => row.sharding],
  ["recompute", (row) => row.recompute],
  ["step_time_s", (row) => row.stepSec],
  ["tokens_per_s", (row) => row.tokensPerSec],
  ["mfu_causal", (row) => row.mfuCausal],
  ["peak_memory_bytes", (row) => row.peakBytes],
  ["energy_j", (row) => row.energyJoules],
  ["usd_per_billion_tokens", (row) => row.usdPerBillionTokens ?? ""],
  ["published_rule", (row) => row.rule ?? ""],
] as const satisfies readonly (readonly [string, (row: PlanRow) => string | number])[];

export function rowsCsv(rows: readonly PlanRow[]): string {
  const lines = rows.map((row) => columns.map(([, value]) => cell(value(row))).join(","));
  return `${[columns.map(([name]) => name).join(","), ...lines].join("\n")}\n`;
}

/** RFC 4180: quotes around what holds a comma, a quote or a line break. */
function cell(value: string | number): string {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
