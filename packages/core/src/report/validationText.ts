// Validation as text: per source the errors, then the rows that are worst (all of them when asked), then what could not be expressed.

import { formatBytes, formatPercent, formatSeconds } from "../units/format.ts";
import type { RowFigures, SummaryEntry, ValidationReport, ValidationRow } from "../validate/types.ts";
import type { ReportStyle } from "./paint.ts";
import { textTable } from "./textTable.ts";

export interface NamedReport {
  readonly name: string;
  readonly report: ValidationReport;
}

export function validationText({ name, report }: NamedReport, style: ReportStyle): string {
  return [
    `${style.paint.bold(name)} ${style.paint.dim(`(${report.rows.length} rows)`)}`,
    ...summaryTable(report.summary),
    ...rowTable(report.rows, style),
    ...unsupported(report.rows, style),
  ].join("\n");
}

const signed = (frac: number) => `${frac > 0 ? "+" : ""}${(frac * 100).toFixed(1)} %`;

function summaryTable(summary: readonly SummaryEntry[]): readonly string[] {
  if (summary.length === 0) return [];
  const titles = [
    "source",
    "tier",
    "quantity",
    "rows",
    "scored",
    "coverage",
    "MAPE",
    "median",
    "p90",
    "bias",
    "OOM seen",
  ];
  const rows = summary.map((entry) => [
    entry.source_key === "*" ? "all" : entry.source_key,
    entry.tier,
    entry.quantity.replace("_", " "),
    String(entry.rows),
    String(entry.n),
    formatPercent(entry.coverage),
    ...(entry.n === 0
      ? ["-", "-", "-", "-"]
      : [formatPercent(entry.mape), formatPercent(entry.median), formatPercent(entry.p90), signed(entry.bias)]),
    entry.oomRows === 0 ? "" : `${entry.oomPredicted} of ${entry.oomRows}`,
  ]);
  return textTable(
    titles.map((title, i) => ({ title, align: i < 3 ? "left" : "right" })),
    rows,
  );
}

const mostRows = 10;

function rowTable(rows: readonly ValidationRow[], { paint, verbose }: ReportStyle): readonly string[] {
  const errorOf = (row: ValidationRow) => Math.max(Math.abs(row.error_frac ?? 0), Math.abs(row.memory_error_frac ?? 0));
  const scored = rows.filter(
    (row) => row.error_frac !== undefined || row.memory_error_frac !== undefined || row.status === "infeasible",
  );
  if (scored.length === 0) return [];
  const shown = verbose
    ? scored
    : [...scored].sort((a, b) => errorOf(b) - errorOf(a) || (a.id < b.id ? -1 : 1)).slice(0, mostRows);
  const titles = ["row", "source", "predicted", "measured", "error", "memory error", ""];
  return [
    "",
    paint.bold(verbose ? "Rows" : `Worst ${shown.length} rows`),
    ...textTable(
      titles.map((title, i) => ({ title, align: i >= 2 && i < 6 ? "right" : "left" })),
      shown.map((row) => [
        row.id,
        row.source_key,
        figures(row.predicted),
        figures(row.measured),
        row.error_frac === undefined ? "" : signed(row.error_frac),
        row.memory_error_frac === undefined ? "" : signed(row.memory_error_frac),
        row.status === "infeasible" ? `does not fit${row.reason === undefined ? "" : `: ${row.reason}`}` : "",
      ]),
    ),
  ];
}

/** The figure a row is about. */
function figures(values: RowFigures | undefined): string {
  if (values === undefined) return "";
  if (values.step_time_s !== undefined) return formatSeconds(values.step_time_s);
  if (values.latency_us !== undefined) return formatSeconds(values.latency_us / 1e6);
  if (values.tokens_per_s_per_gpu !== undefined) return `${Math.round(values.tokens_per_s_per_gpu)} tokens/s`;
  if (values.peak_mem_gib !== undefined) return formatBytes(values.peak_mem_gib * 2 ** 30);
  return values.activation_pct === undefined ? "" : `${values.activation_pct.toFixed(1)} %`;
}

/** Reasons with their counts, most frequent first. */
function unsupported(rows: readonly ValidationRow[], { paint }: ReportStyle): readonly string[] {
  const counts = new Map<string, number>();
  for (const row of rows)
    if (row.status === "unsupported")
      counts.set(row.reason ?? "no reason given", (counts.get(row.reason ?? "no reason given") ?? 0) + 1);
  if (counts.size === 0) return [];
  const sorted = [...counts].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  return [
    "",
    paint.bold("Not expressed"),
    ...textTable(
      [
        { title: "", align: "right" },
        { title: "", align: "left" },
      ],
      sorted.map(([reason, count]) => [String(count), reason]),
    ),
  ];
}
