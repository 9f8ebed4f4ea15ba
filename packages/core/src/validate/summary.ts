// Errors per source, tier and quantity. Statistics take every row with a prediction, also one that was refused for memory (its step is
// predicted without the limit); coverage counts only rows that were expressed and fit.

import type { Quantity, SummaryEntry, ValidationRow } from "./types.ts";

export function summarise(rows: readonly ValidationRow[]): readonly SummaryEntry[] {
  const groups = new Map<string, { source: string; tier: string; quantity: Quantity; rows: ValidationRow[] }>();
  const add = (source: string, quantity: Quantity, row: ValidationRow) => {
    const key = `${row.tier}\t${source}\t${quantity}`;
    const group = groups.get(key) ?? { source, tier: row.tier, quantity, rows: [] };
    group.rows.push(row);
    groups.set(key, group);
  };
  for (const row of rows) {
    for (const quantity of quantitiesOf(row)) {
      add(row.source_key, quantity, row);
      add("*", quantity, row);
    }
  }
  return [...groups.values()]
    .map((group) => entryOf(group))
    .sort(
      (a, b) =>
        a.tier.localeCompare(b.tier) ||
        a.quantity.localeCompare(b.quantity) ||
        a.source_key.localeCompare(b.source_key),
    );
}

/** What a row is scored for. Rows of the memory tier are scored for memory alone: their steps are tiny models on many hosts. */
function quantitiesOf(row: ValidationRow): readonly Quantity[] {
  const measured = row.measured ?? {};
  const quantities: Quantity[] = [];
  if (measured.latency_us !== undefined) quantities.push("latency");
  if (row.tier !== "memory" && (measured.step_time_s !== undefined || measured.tokens_per_s_per_gpu !== undefined))
    quantities.push("step_time");
  if (measured.peak_mem_gib !== undefined || row.oom === true) quantities.push("peak_memory");
  if (measured.activation_pct !== undefined) quantities.push("activation");
  return quantities;
}

/** Signed error of one quantity, or undefined when either side is missing. */
export function errorOf(row: Pick<ValidationRow, "predicted" | "measured">, quantity: Quantity): number | undefined {
  const p = row.predicted ?? {};
  const m = row.measured ?? {};
  switch (quantity) {
    case "step_time":
      // Throughput alone is turned into time, so that slow is positive everywhere.
      return relative(p.step_time_s, m.step_time_s) ?? relative(m.tokens_per_s_per_gpu, p.tokens_per_s_per_gpu);
    case "peak_memory":
      return relative(p.peak_mem_gib, m.peak_mem_gib);
    case "latency":
      return relative(p.latency_us, m.latency_us);
    case "activation":
      return relative(p.activation_pct, m.activation_pct);
  }
}

function relative(predicted: number | undefined, measured: number | undefined): number | undefined {
  if (predicted === undefined || measured === undefined || measured <= 0 || !Number.isFinite(predicted))
    return undefined;
  return predicted / measured - 1;
}

function entryOf(group: {
  source: string;
  tier: string;
  quantity: Quantity;
  rows: readonly ValidationRow[];
}): SummaryEntry {
  const errors = group.rows.flatMap((row) => errorOf(row, group.quantity) ?? []);
  const sizes = errors.map(Math.abs).sort((a, b) => a - b);
  const oom = group.rows.filter((row) => row.oom === true);
  const runs = group.rows.filter((row) => row.oom !== true);
  const ran = runs.filter((row) => row.status === "ok" && errorOf(row, group.quantity) !== undefined);
  return {
    source_key: group.source,
    tier: group.tier,
    quantity: group.quantity,
    rows: group.rows.length,
    n: errors.length,
    coverage: runs.length === 0 ? 1 : ran.length / runs.length,
    mape: mean(sizes),
    median: quantile(sizes, 0.5),
    p90: quantile(sizes, 0.9),
    bias: mean(errors),
    refused: runs.filter((row) => row.status === "infeasible").length,
    oomRows: oom.length,
    oomPredicted: oom.filter((row) => row.status === "infeasible").length,
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Linear interpolation between order statistics of an ascending list. */
export function quantile(sorted: readonly number[], share: number): number {
  if (sorted.length === 0) return 0;
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? 0;
  const high = sorted[Math.ceil(at)] ?? low;
  return low + (high - low) * (at - Math.floor(at));
}
