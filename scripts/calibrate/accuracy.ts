// Errors of predicted rows per table: measured on rows that were held out, and on whole tables that were left out.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { predictKernelRow, type RowPricer } from "../../packages/core/src/validate/kernelRows.ts";
import type { Sample } from "./families.ts";

export interface Errors {
  readonly rows: number;
  /** Means and medians of |predicted / measured - 1|; bias and standard deviation of its logarithm. */
  readonly mape: number;
  readonly median: number;
  readonly bias: number;
  readonly std: number;
}

export interface Accuracy {
  readonly heldOut: Record<string, Errors>;
  readonly leftOut: Record<string, Errors>;
}

export function errorsOf(file: string, samples: readonly Pick<Sample, "row">[], pricer: RowPricer): Errors {
  return summarised(logErrors(file, samples, pricer));
}

/** log(predicted / measured) of each row. */
export function logErrors(file: string, samples: readonly Pick<Sample, "row">[], pricer: RowPricer): number[] {
  return samples.map(({ row }) => {
    const result = predictKernelRow(file, row, pricer);
    if ("unsupported" in result) throw new Error(`${file}: ${result.unsupported}`);
    return Math.log(result.predictedUs / result.measuredUs);
  });
}

export function summarised(logs: readonly number[]): Errors {
  const relative = logs.map((log) => Math.abs(Math.expm1(log))).sort((a, b) => a - b);
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const bias = mean(logs);
  const round = (value: number): number => Number(value.toFixed(4));
  const std = Math.sqrt(mean(logs.map((log) => (log - bias) ** 2)));
  return {
    rows: logs.length,
    mape: round(mean(relative)),
    median: round(relative[relative.length >> 1] ?? 0),
    bias: round(bias),
    std: round(std),
  };
}

const percent = (value: number): string => (100 * value).toFixed(1);

export function report(what: string, errors: Errors): void {
  const figures = `MAPE ${percent(errors.mape).padStart(5)} %  median ${percent(errors.median).padStart(5)} %  bias ${percent(errors.bias).padStart(6)} %`;
  console.log(`${what.padEnd(68)} ${String(errors.rows).padStart(6)} rows  ${figures}`);
}

export function readAccuracy(path: string): Accuracy {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Accuracy) : { heldOut: {}, leftOut: {} };
}

const BEGIN = "<!-- accuracy: written by scripts/calibrateKernels.ts -->";
const END = "<!-- end of accuracy -->";

/** Keeps the figures for later runs and renews the table between the markers of the document. */
export function writeAccuracy(path: string, documentPath: string, accuracy: Accuracy): void {
  writeFileSync(path, `${JSON.stringify(accuracy, null, 1)}\n`);
  if (!existsSync(documentPath)) return;
  const text = readFileSync(documentPath, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < 0) return;
  writeFileSync(
    documentPath,
    `${text.slice(0, begin + BEGIN.length)}\n${summaryTable(accuracy)}\n\n${accuracyTable(accuracy)}\n${text.slice(end)}`,
  );
}

/** Means over the rows of all tables of a family, and of a family and format. */
function summaryTable({ heldOut, leftOut }: Accuracy): string {
  const groups = new Map<string, string[]>();
  for (const key of Object.keys(heldOut).sort()) {
    const [, family = "", , dtype] = key.split("/");
    for (const name of dtype === undefined ? [family] : [family, `${family} ${dtype}`])
      groups.set(name, [...(groups.get(name) ?? []), key]);
  }
  const mean = (errors: Readonly<Record<string, Errors>>, keys: readonly string[]): string => {
    const known = keys.map((key) => errors[key]).filter((entry): entry is Errors => entry !== undefined);
    const rows = known.reduce((sum, entry) => sum + entry.rows, 0);
    return percent(known.reduce((sum, entry) => sum + entry.rows * entry.mape, 0) / Math.max(1, rows));
  };
  const lines = ["| family, format | tables | held out: MAPE % | left out: MAPE % |", "|---|---:|---:|---:|"];
  for (const [name, keys] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1)))
    lines.push(`| ${name} | ${keys.length} | ${mean(heldOut, keys)} | ${mean(leftOut, keys)} |`);
  return lines.join("\n");
}

function accuracyTable({ heldOut, leftOut }: Accuracy): string {
  const lines = [
    "| table | held-out rows | MAPE % | median % | bias % | left out: MAPE % | median % | bias % |",
    "|---|---:|---:|---:|---:|---:|---:|---:|",
  ];
  for (const key of Object.keys(heldOut).sort()) {
    const held = heldOut[key] as Errors;
    const left = leftOut[key];
    const others =
      left === undefined ? "| | |" : `${percent(left.mape)} | ${percent(left.median)} | ${percent(left.bias)} |`;
    lines.push(
      `| ${key.replace("kernels/", "")} | ${held.rows} | ${percent(held.mape)} | ${percent(held.median)} | ${percent(held.bias)} | ${others}`,
    );
  }
  return lines.join("\n");
}
