// The comparison in a terminal: the jobs, a table of figures, bars of time with their intervals, where the time goes, memory against capacity, and what
// follows from it in words. Bars read without colour: every part has a letter or block of its own.

import type { ComponentKey } from "../plan/explain/index.ts";
import { formatBytes, formatPercent, formatSeconds } from "../units/format.ts";
import { stackedBar } from "./bars.ts";
import {
  type ComparedJob,
  comparedSec,
  type FittingJob,
  fits,
  type JobComparison,
  memoryScaleBytes,
  metrics,
  peakMemory,
  shownComponents,
  shownSeconds,
  timeTitle,
  verdictLines,
} from "./comparison.ts";
import type { ReportStyle } from "./paint.ts";
import { memoryParts } from "./stepParts.ts";
import { jobLines } from "./stepReport.ts";
import { pad, textTable } from "./textTable.ts";

/** The whole report; lines joined, no trailing newline. */
export function comparisonReport(of: JobComparison, style: ReportStyle): string {
  const fitting = of.jobs.filter(fits);
  return [
    ...of.jobs.flatMap((job) => heading(job, style)),
    "",
    ...figureTable(of, style),
    ...(fitting.length === 0 ? [] : ["", ...timeBars(of, fitting, style), "", ...componentSection(of, fitting, style)]),
    "",
    ...memoryBars(of, style),
    "",
    ...verdict(of, style),
  ].join("\n");
}

function heading(job: ComparedJob, style: ReportStyle): readonly string[] {
  const { paint } = style;
  const [title, ...details] = jobLines(job.spec, style);
  const rule = job.baseline === undefined ? [] : [paint.dim(`baseline: ${job.baseline.title}`)];
  return [`${paint.bold(paint.cyan(job.name))}: ${title}`, ...[...details, ...rule].map((line) => `  ${line}`)];
}

/** A table with a column per job, cut into several where the terminal is too narrow. */
function perJob(
  jobs: readonly ComparedJob[],
  rows: readonly { readonly title: string; readonly cells: readonly string[] }[],
  { width }: ReportStyle,
): readonly string[] {
  const first = Math.max(...rows.map((row) => row.title.length));
  const widths = jobs.map((job, i) => Math.max(job.name.length, ...rows.map((row) => row.cells[i]!.length)));
  const tables: number[][] = [[]];
  let used = first + 2;
  widths.forEach((wide, i) => {
    if (tables.at(-1)!.length > 0 && used + wide + 2 > width) {
      tables.push([]);
      used = first + 2;
    }
    tables.at(-1)!.push(i);
    used += wide + 2;
  });
  return tables.flatMap((columns, table) => [
    ...(table > 0 ? [""] : []),
    ...textTable(
      [{ title: "", align: "left" }, ...columns.map((i) => ({ title: jobs[i]!.name, align: "right" as const }))],
      rows.map((row) => [row.title, ...columns.map((i) => row.cells[i]!)]),
    ),
  ]);
}

function figureTable(of: JobComparison, style: ReportStyle): readonly string[] {
  const all = metrics(of);
  const rows = all.map(({ name, of: value }, i) => ({
    title: name,
    cells: of.jobs.map((job) => (fits(job) ? value(job) : i === 0 ? "does not fit" : "-")),
  }));
  return perJob(of.jobs, rows, style);
}

function nameWidth(jobs: readonly ComparedJob[]): number {
  return Math.max(...jobs.map((job) => job.name.length));
}

function timeBars(of: JobComparison, jobs: readonly FittingJob[], { paint, width }: ReportStyle): readonly string[] {
  const names = nameWidth(jobs);
  const columns = Math.max(10, Math.min(60, width - names - 22));
  const high = (job: FittingJob) => comparedSec(of, job, job.result.stepSec * (1 + job.result.relStd));
  const scale = Math.max(...jobs.map(high));
  return [
    `${paint.bold(timeTitle(of))} ${paint.dim("(█ to the low end of one standard deviation, ▓ to the prediction, ░ to the high end)")}`,
    ...jobs.map((job) => {
      const { stepSec, relStd } = job.result;
      const end = (factor: number) => Math.round((comparedSec(of, job, stepSec * factor) / scale) * columns);
      const [low, mid, top] = [end(1 - relStd), end(1), end(1 + relStd)];
      const drawn = "█".repeat(low) + "▓".repeat(mid - low) + "░".repeat(top - mid);
      const tone = job === of.fastest ? "green" : "blue";
      return `  ${pad(job.name, names, "left")}  ${paint[tone](drawn)}${" ".repeat(columns - top)}  ${formatSeconds(comparedSec(of, job, stepSec))}`;
    }),
  ];
}

function componentSection(of: JobComparison, jobs: readonly FittingJob[], style: ReportStyle): readonly string[] {
  const { paint, width } = style;
  const names = nameWidth(jobs);
  const columns = Math.max(10, Math.min(80, width - names - 6));
  const shown = shownComponents(jobs);
  const seconds = new Map(jobs.map((job) => [job, shownSeconds(job)]));
  const partSec = (job: FittingJob, key: ComponentKey) => comparedSec(of, job, seconds.get(job)!.get(key)!);
  const scale = Math.max(...jobs.map((job) => comparedSec(of, job, job.result.stepSec)));
  const bars = jobs.map((job) => {
    let at = 0;
    let drawn = "";
    for (const { key, fill, tone } of shown) {
      const from = Math.round((at / scale) * columns);
      at += Math.max(0, partSec(job, key));
      drawn += paint[tone](fill.repeat(Math.max(0, Math.round((at / scale) * columns) - from)));
    }
    return `  ${pad(job.name, names, "left")}  ${drawn}`;
  });
  const rows = shown.map(({ key, name, fill }) => ({
    title: `${fill} ${name}`,
    cells: jobs.map((job) => {
      const sec = partSec(job, key);
      return sec === 0
        ? "-"
        : `${formatSeconds(sec)} ${formatPercent(sec / comparedSec(of, job, job.result.stepSec)).padStart(7)}`;
    }),
  }));
  const total = {
    title: "  together",
    cells: jobs.map((job) => `${formatSeconds(comparedSec(of, job, job.result.stepSec))}${" ".repeat(8)}`),
  };
  return [
    `${paint.bold("Where the time goes")} ${paint.dim(`(${of.tokensPerStep === null ? "a billion tokens" : "a step"} on the mean device)`)}`,
    ...bars,
    ...perJob(jobs, [...rows, total], style),
  ];
}

function memoryBars(of: JobComparison, { paint, width }: ReportStyle): readonly string[] {
  const names = nameWidth(of.jobs);
  const columns = Math.max(10, Math.min(60, width - names - 27));
  const rows = of.jobs.map((job) => ({
    job,
    memory: peakMemory(job),
  }));
  const scale = memoryScaleBytes(of);
  const bars = rows.map(({ job, memory }) => {
    let at = 0;
    let drawn = "";
    const column = (bytes: number) => Math.min(columns, Math.round((bytes / scale) * columns));
    for (const part of memoryParts) {
      const from = column(at);
      at += part.bytes(memory);
      drawn += paint[part.tone](part.fill.repeat(Math.max(0, column(at) - from)));
    }
    const free = Math.max(0, column(memory.capacityBytes) - column(at));
    const cut = at > scale ? "»" : " ";
    const rest = `${paint.dim(stackedBar([], free, "·"))}${cut}${" ".repeat(Math.max(0, columns - column(at) - free))}`;
    const [need, have] = [formatBytes(memory.peakBytes), formatBytes(memory.capacityBytes)];
    const text = memory.peakBytes > memory.capacityBytes ? paint.red(`${need} > ${have}`) : `${need} of ${have}`;
    return `  ${pad(job.name, names, "left")}  ${drawn}${rest} ${text}`;
  });
  const legend = memoryParts
    .filter((part) => rows.some(({ memory }) => part.bytes(memory) >= 2 ** 20))
    .map((part) => `${paint[part.tone](part.fill)} ${part.name}`);
  return [
    `${paint.bold("Memory")} ${paint.dim("(the fullest pipeline rank of each)")}`,
    ...bars,
    `  ${legend.join("  ")}`,
  ];
}

function verdict(of: JobComparison, { paint }: ReportStyle): readonly string[] {
  const [headline, ...rest] = verdictLines(of);
  return [paint.bold(headline!), ...rest.map((line) => `  ${line}`)];
}
