// The comparison as one page that needs nothing else (htmlPage.ts). It reads without colour: every bar says its figure, every part its name (as a tooltip
// and in the table).

import { formatBytes, formatPercent, formatSeconds, grouped } from "../units/format.ts";
import { barChart, type ChartRow, escaped, type Segment } from "./barChart.ts";
import {
  type ComparedJob,
  comparedSec,
  costText,
  energyKwhPerBillionTokens,
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
import { htmlPage, legendText, section, wide, wideChart } from "./htmlPage.ts";
import { plainStyle } from "./paint.ts";
import { memoryParts } from "./stepParts.ts";
import { jobLines } from "./stepReport.ts";

/** The whole document. Equal comparisons give equal bytes. */
export function comparisonHtml(of: JobComparison): string {
  const fitting = of.jobs.filter(fits);
  const title = `${of.jobs.map((job) => job.name).join(", ")}: predicted side by side`;
  const [headline, ...sentences] = verdictLines(of);
  const sections = [
    `<h1>${escaped(headline!)}</h1>`,
    `<ul class="verdict">${sentences.map((line) => `<li>${escaped(line)}</li>`).join("")}</ul>`,
    ...(fitting.length === 0 ? [] : [timeSection(of), componentSection(of, fitting)]),
    memorySection(of),
    ...(fitting.length === 0 ? [] : [smallCharts(of)]),
    section("Figures", "", wide(figureTable(of))),
    `<section><h2>Jobs</h2>${of.jobs.map(jobText).join("")}</section>`,
  ];
  return htmlPage({
    title,
    sections,
    footer:
      "Predicted by Meshwright. Intervals are one standard deviation; jobs closer than the uncertainty of their ratio are called ties.",
  });
}

function timeSection(of: JobComparison): string {
  const rows = of.jobs.map((job): ChartRow => {
    if (!fits(job)) return unfitRow(job);
    const { stepSec, relStd } = job.result;
    const sec = (factor: number) => comparedSec(of, job, stepSec * factor);
    const [low, high] = [sec(1 - relStd), sec(1 + relStd)];
    const interval = `${formatSeconds(low)} to ${formatSeconds(high)}`;
    return {
      name: job.name,
      segments: [
        {
          value: sec(1),
          className: job === of.fastest ? "fastest" : "plain",
          title: `${job.name}: ${formatSeconds(sec(1))}, ${interval}`,
        },
      ],
      interval: { low, high },
      label: formatSeconds(sec(1)),
    };
  });
  return section(timeTitle(of), "The thin line is one standard deviation each way.", wideChart(rows));
}

function unfitRow(job: ComparedJob): ChartRow {
  return { name: job.name, segments: [], label: "does not fit" };
}

function componentSection(of: JobComparison, fitting: readonly FittingJob[]): string {
  const shown = shownComponents(fitting);
  const rows = of.jobs.map((job): ChartRow => {
    if (!fits(job)) return unfitRow(job);
    const seconds = shownSeconds(job);
    const total = comparedSec(of, job, job.result.stepSec);
    const segments = shown.map(({ key, name }): Segment => {
      const value = comparedSec(of, job, Math.max(0, seconds.get(key)!));
      return {
        value,
        className: `part-${key}`,
        title: `${job.name}, ${name}: ${formatSeconds(value)}, ${formatPercent(value / total)}`,
      };
    });
    return { name: job.name, segments, label: formatSeconds(total) };
  });
  const legend = shown.map(({ key, name }) => ({ className: `part-${key}`, name }));
  return section(
    "Where the time goes",
    "Of the mean device; parts add up to the bar.",
    legendText(legend) + wideChart(rows) + componentTable(of, fitting),
  );
}

function componentTable(of: JobComparison, fitting: readonly FittingJob[]): string {
  const head = fitting.map((job) => `<th scope="col">${escaped(job.name)}</th>`).join("");
  const rows = shownComponents(fitting).map(({ key, name }) => {
    const cells = fitting.map((job) => {
      const sec = comparedSec(of, job, shownSeconds(job).get(key)!);
      const share = sec / comparedSec(of, job, job.result.stepSec);
      return sec === 0 ? "<td>-</td>" : `<td>${formatSeconds(sec)} <small>${formatPercent(share)}</small></td>`;
    });
    return `<tr><th scope="row"><i class="part-${key}"></i>${escaped(name)}</th>${cells.join("")}</tr>`;
  });
  return wide(`<table><thead><tr><td></td>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`);
}

function memorySection(of: JobComparison): string {
  const rows = of.jobs.map((job): ChartRow => {
    const memory = peakMemory(job);
    const segments = memoryParts.map((part): Segment => {
      const value = part.bytes(memory);
      return { value, className: `mem-${part.key}`, title: `${job.name}, ${part.name}: ${formatBytes(value)}` };
    });
    const label = `${formatBytes(memory.peakBytes)}${fits(job) ? "" : ", too much"}`;
    return {
      name: job.name,
      segments,
      label,
      mark: { value: memory.capacityBytes, title: `capacity ${formatBytes(memory.capacityBytes)}` },
    };
  });
  const limit = memoryScaleBytes(of);
  const used = memoryParts.filter((part) => of.jobs.some((job) => part.bytes(peakMemory(job)) >= 2 ** 20));
  const legend = used.map((part) => ({ className: `mem-${part.key}`, name: part.name }));
  return section(
    "Memory",
    "The fullest pipeline rank of each job; the upright line is the device's capacity.",
    legendText(legend) + wideChart(rows, limit),
  );
}

/** One figure each, where more or less is better. */
function smallCharts(of: JobComparison): string {
  const chart = (title: string, value: (job: FittingJob) => number, text: (job: FittingJob) => string) => {
    const rows = of.jobs.map(
      (job): ChartRow =>
        fits(job)
          ? {
              name: job.name,
              segments: [{ value: value(job), className: "plain", title: `${job.name}: ${text(job)}` }],
              label: text(job),
            }
          : unfitRow(job),
    );
    return `<figure><figcaption>${escaped(title)}</figcaption>${barChart(rows, { width: 460 })}</figure>`;
  };
  const priced = of.jobs.some((job) => fits(job) && job.result.usdPerBillionTokens !== null);
  return `<section class="grid">${[
    chart(
      "Tokens/s per device (more is better)",
      (job) => job.result.tokensPerSecPerDevice,
      (job) => grouped(job.result.tokensPerSecPerDevice),
    ),
    chart(
      "MFU, causal (more is better)",
      (job) => job.result.mfuCausal,
      (job) => formatPercent(job.result.mfuCausal),
    ),
    chart(
      "Energy of a billion tokens (less is better)",
      energyKwhPerBillionTokens,
      (job) => `${grouped(energyKwhPerBillionTokens(job))} kWh`,
    ),
    ...(priced
      ? [chart("Cost of a billion tokens (less is better)", (job) => job.result.usdPerBillionTokens ?? 0, costText)]
      : []),
  ].join("")}</section>`;
}

function figureTable(of: JobComparison): string {
  const head = of.jobs.map((job) => `<th scope="col">${escaped(job.name)}</th>`).join("");
  const rows = metrics(of).map(({ name, of: value }, i) => {
    const cells = of.jobs.map((job) => `<td>${fits(job) ? escaped(value(job)) : i === 0 ? "does not fit" : "-"}</td>`);
    const indent = name.startsWith(" ") ? ' class="sub"' : "";
    return `<tr><th scope="row"${indent}>${escaped(name.trim())}</th>${cells.join("")}</tr>`;
  });
  return `<table><thead><tr><td></td>${head}</tr></thead><tbody>${rows.join("")}</tbody></table>`;
}

function jobText(job: ComparedJob): string {
  const rule = job.baseline === undefined ? [] : [`Baseline: ${job.baseline.title}, ${job.baseline.source}`];
  const lines = [...jobLines(job.spec, plainStyle), ...rule];
  return `<h3>${escaped(job.name)}</h3><p>${lines.map(escaped).join("<br>")}</p>`;
}
