// One job as a page to print or to send: what was asked, the step and its interval, where the time goes, memory, the timeline, what else was looked at,
// what was assumed and how far such predictions have been off. The same figures as the terminal reports; nothing is computed here but shares.

import type { ParameterCounts } from "../model/types.ts";
import type { Bottleneck, PlanOutcome, Sensitivity, Waterfall } from "../plan/index.ts";
import type { Infeasible, MemoryBreakdown, RankClass, StepResult } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "../units/format.ts";
import { accuracyNote } from "./accuracyNote.ts";
import { barChart, type ChartRow, escaped } from "./barChart.ts";
import { htmlPage, legendText, pageTable, plainList, section, wide, wideChart } from "./htmlPage.ts";
import { jobWords } from "./jobWords.ts";
import { layoutText } from "./planReport.ts";
import { specKey } from "./specKey.ts";
import { memoryParts, timeParts } from "./stepParts.ts";
import { pictureLegend, stepPicture } from "./stepPicture.ts";
import { formatEnergy, rankName, rateOf, slowestRank, warningsOf } from "./stepReport.ts";
import { type WaterfallRow, waterfallRows } from "./waterfallRows.ts";

export interface JobReport {
  readonly spec: ResolvedSpec;
  readonly parameters: ParameterCounts;
  /** Predicted with a timeline, where it fits. */
  readonly result: StepResult | Infeasible;
  /** Where the job fits: of the same result. */
  readonly explained?: { readonly waterfall: Waterfall; readonly bottleneck: Bottleneck };
  /** Empty: not asked for. */
  readonly sensitivities: readonly Sensitivity[];
  /** A search over all strategies of the job, when asked for. */
  readonly plan?: PlanOutcome;
  /** The command line that predicts this job. */
  readonly command: string;
}

/** The whole document. Equal reports give equal bytes. */
export function jobHtml(report: JobReport): string {
  const { spec, result, parameters } = report;
  const words = jobWords(spec, parameters, result.settled);
  const fits = result.kind === "ok";
  const sections = [
    `<h1>${escaped(headline(spec, result))}</h1>`,
    ...(report.explained === undefined ? [] : [`<p>${escaped(report.explained.bottleneck.sentence)}</p>`]),
    ...(fits ? [figures(spec, result)] : []),
    section(
      "The job",
      "",
      `<dl class="words">${words.map(({ name, text }) => `<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`).join("")}</dl>`,
    ),
    ...(fits ? fittingSections(report, result) : unfitSections(result)),
    ...(report.plan === undefined ? [] : [planSection(report.plan)]),
    assumptions(report),
  ];
  return htmlPage({
    title: `${spec.name}: ${fits ? "predicted step" : "does not fit"}`,
    sections,
    footer: "Predicted by Meshwright. Intervals are one standard deviation of the prediction.",
  });
}

function headline({ name }: ResolvedSpec, result: StepResult | Infeasible): string {
  return result.kind === "ok" ? `${name}: ${formatSeconds(result.stepSec)} a step` : `${name} does not fit`;
}

function figures(spec: ResolvedSpec, result: StepResult): string {
  const { stepSec, relStd } = result;
  const memory = result.ranks[result.peakRank]!.memory; // an index of ranks
  const list: readonly (readonly [string, string, string])[] = [
    [
      "Step time",
      formatSeconds(stepSec),
      `${formatSeconds(stepSec * (1 - relStd))} to ${formatSeconds(stepSec * (1 + relStd))}`,
    ],
    [
      "Throughput",
      `${formatCount(result.tokensPerSec)} tokens/s`,
      `${grouped(result.tokensPerSecPerDevice)} per device`,
    ],
    ["MFU", formatPercent(result.mfuCausal), `causal; HFU ${formatPercent(result.hfu)}`],
    [
      "Peak memory",
      formatBytes(memory.peakBytes),
      `${formatPercent(memory.peakBytes / memory.capacityBytes)} of ${formatBytes(memory.capacityBytes)}`,
    ],
    [
      "Energy of a step",
      formatEnergy(result.energyJoules),
      `${Math.round(result.energyJoules / stepSec / spec.cluster.numDevices)} W per device with its host`,
    ],
    ...(result.usdPerBillionTokens === null
      ? []
      : [["Cost", formatUsd(result.usdPerBillionTokens), "of a billion tokens"] as const]),
  ];
  return `<dl class="figures">${list.map(([name, value, more]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}<small>${escaped(more)}</small></dd></div>`).join("")}</dl>`;
}

function fittingSections(report: JobReport, result: StepResult): readonly string[] {
  const { explained, sensitivities } = report;
  return [
    ...warnings(result),
    timeSection(result),
    ...(explained === undefined ? [] : [waterfallSection(explained.waterfall)]),
    memorySection(result),
    ...(result.timeline === undefined ? [] : [timelineSection(result)]),
    opsSection(result),
    ...(sensitivities.length === 0 ? [] : [sensitivitySection(sensitivities)]),
  ];
}

function warnings(result: StepResult): readonly string[] {
  const all = warningsOf(result);
  return all.length === 0 ? [] : [plainList(all.map((text) => `Warning: ${text}`))];
}

const partClass = (key: string) => `part-${key.replace("exposed_", "")}`;

function timeSection(result: StepResult): string {
  const rank = slowestRank(result);
  const parts = timeParts
    .map((part) => ({ ...part, sec: part.seconds(rank) }))
    .filter(({ sec }) => sec > 1e-6 * result.stepSec);
  const row: ChartRow = {
    name: "step",
    segments: parts.map(({ key, name, sec }) => ({
      value: sec,
      className: partClass(key),
      title: `${name}: ${formatSeconds(sec)}, ${formatPercent(sec / result.stepSec)}`,
    })),
    label: formatSeconds(result.stepSec),
  };
  const table = pageTable(
    [{ title: "Part" }, { title: "Seconds" }, { title: "Share" }],
    parts.map(({ name, sec }) => [name, formatSeconds(sec), formatPercent(sec / result.stepSec)]),
  );
  return section(
    "Where the time goes",
    result.ranks.length > 1 ? `Of ${rankName(rank)}, which sets the pace.` : "",
    legendText(parts.map(({ key, name }) => ({ className: partClass(key), name }))) + wideChart([row]) + table,
  );
}

function waterfallSection(of: Waterfall): string {
  return section(
    "From peak to achieved",
    "Shares of the device's peak, and the seconds of the step that each loss takes on the mean device. Achieved is model FLOPs with causal attention.",
    wide(waterfallChart(waterfallRows(of))),
  );
}

const chart = { width: 1000, left: 230, right: 170, row: 22, bar: 14 };

function waterfallChart(rows: readonly WaterfallRow[]): string {
  const scale = chart.width - chart.left - chart.right;
  const drawn = rows.map((row, i) => {
    const y = i * chart.row;
    const middle = y + chart.row / 2;
    const isLoss = row.kind === "loss" || row.kind === "rest";
    const share = isLoss
      ? `${row.lossFrac > 0 ? "-" : "+"}${formatPercent(Math.abs(row.lossFrac))}`
      : formatPercent(row.toFrac);
    const x = chart.left + row.fromFrac * scale;
    const wide = Math.max(0.8, (row.toFrac - row.fromFrac) * scale);
    const className = row.key === "peak" || row.key === "rest" ? row.key : `part-${row.key}`;
    return [
      `<text x="${chart.left - 10}" y="${middle}" text-anchor="end" dominant-baseline="central">${escaped(row.name)}</text>`,
      `<rect class="${className}" x="${x.toFixed(2)}" y="${y + (chart.row - chart.bar) / 2}" width="${wide.toFixed(2)}" height="${chart.bar}"/>`,
      `<text x="${chart.width - 90}" y="${middle}" text-anchor="end" dominant-baseline="central">${share}</text>`,
      `<text x="${chart.width - 4}" y="${middle}" text-anchor="end" dominant-baseline="central">${escaped(formatSeconds(Math.abs(row.durationSec)))}</text>`,
    ].join("");
  });
  const height = rows.length * chart.row;
  const described = rows
    .map((row) => `${row.name} ${row.kind === "loss" ? formatPercent(-row.lossFrac) : ""}`.trim())
    .join("; ");
  return `<svg viewBox="0 0 ${chart.width} ${height}" role="img" aria-label="${escaped(described)}"><path class="axis" d="M${chart.left} 0V${height}"/>${drawn.join("")}</svg>`;
}

const mostRanks = 16;

function memorySection(result: StepResult): string {
  const all = result.ranks.map((rank, index) => ({ rank, index }));
  const shown =
    all.length <= mostRanks
      ? all
      : all.filter(({ index }) => index < 4 || index >= all.length - 4 || index === result.peakRank);
  const left = all.length - shown.length;
  const note = `Against the device's capacity, the upright line${left > 0 ? `; ${shown.length} of ${all.length} pipeline ranks` : ""}.`;
  return section(
    "Memory",
    note,
    memoryChart(
      shown.map(({ rank, index }) => ({
        name: `${shortName(rank)}${all.length > 1 && index === result.peakRank ? ", fullest" : ""}`,
        memory: rank.memory,
      })),
    ) + memoryTable(result.ranks[result.peakRank]!.memory), // an index of ranks
  );
}

function shortName({ pipelineRank, pipeline, devices }: RankClass): string {
  const on = devices === undefined ? "" : ` (${devices.map((each) => each.group).join(", ")})`;
  return `rank ${pipelineRank}${pipeline === undefined ? "" : ` of pipeline ${pipeline}`}${on}`;
}

function memoryChart(bars: readonly { readonly name: string; readonly memory: MemoryBreakdown }[]): string {
  const rows = bars.map(
    ({ name, memory }): ChartRow => ({
      name,
      segments: memoryParts.map((part) => ({
        value: part.bytes(memory),
        className: `mem-${part.key}`,
        title: `${name}, ${part.name}: ${formatBytes(part.bytes(memory))}`,
      })),
      label: formatBytes(memory.peakBytes),
      mark: { value: memory.capacityBytes, title: `capacity ${formatBytes(memory.capacityBytes)}` },
    }),
  );
  const used = memoryParts.filter((part) => bars.some(({ memory }) => part.bytes(memory) >= 2 ** 20));
  const capacity = Math.max(...bars.map(({ memory }) => memory.capacityBytes));
  const most = Math.max(capacity, ...bars.map(({ memory }) => memory.peakBytes));
  // A job that needs several times its device's memory would leave the capacity no room.
  return (
    legendText(used.map((part) => ({ className: `mem-${part.key}`, name: part.name }))) +
    wide(barChart(rows, { limit: Math.min(3 * capacity, most) }))
  );
}

function memoryTable(memory: MemoryBreakdown): string {
  const rows = memoryParts
    .map((part) => [part.name, part.bytes(memory)] as const)
    .filter(([, bytes]) => bytes > 0)
    .map(([name, bytes]) => [name, formatBytes(bytes), formatPercent(bytes / memory.peakBytes)]);
  const host =
    memory.hostBytes === undefined || memory.hostBytes === 0
      ? []
      : [["on the host, beside the peak", formatBytes(memory.hostBytes), ""]];
  return pageTable([{ title: "Fullest rank" }, { title: "Bytes" }, { title: "Of the peak" }], [...rows, ...host]);
}

function timelineSection(result: StepResult): string {
  const timeline = result.timeline!; // the caller looked
  const { svg, endsSec } = stepPicture(timeline, result.stepSec);
  const note =
    endsSec === null
      ? "One pipeline from the first forward to the update."
      : `The first and the last ${formatSeconds(endsSec)} of the step; what lies between repeats.`;
  return section("Timeline", note, legendText(pictureLegend(timeline)) + wide(svg));
}

const mostOps = 15;

function opsSection({ opTotals, stepSec }: StepResult): string {
  const sorted = [...opTotals].sort((a, b) => b.durationSec - a.durationSec || (a.name < b.name ? -1 : 1));
  const shown = sorted.slice(0, mostOps);
  const rows = shown.map((op) => [
    op.name,
    grouped(op.count),
    formatSeconds(op.durationSec),
    formatPercent(op.durationSec / stepSec),
    op.exposedSec < op.durationSec * 0.999 ? formatSeconds(op.exposedSec) : "all",
    rateOf(op),
    op.source,
  ]);
  const note = shown.length < sorted.length ? `The ${shown.length} longest of ${sorted.length}.` : "";
  return section(
    "Operations and where their durations come from",
    note,
    pageTable(
      [
        { title: "Operation" },
        { title: "Calls" },
        { title: "Time" },
        { title: "Of the step" },
        { title: "Not hidden" },
        { title: "Rate" },
        { title: "Priced by", align: "left" },
      ],
      rows,
    ),
  );
}

const mostSensitivities = 20;

function sensitivitySection(all: readonly Sensitivity[]): string {
  const shown = all.slice(0, mostSensitivities);
  return section(
    "What would change it",
    "One thing changed at a time, each predicted anew; the change of throughput (per device where the job or its size changes).",
    pageTable(
      [{ title: "Change" }, { title: "Throughput" }, { title: "Step" }],
      shown.map(({ change, gainFrac, stepSec }) => [
        change,
        `${gainFrac < 0 ? "-" : "+"}${formatPercent(Math.abs(gainFrac))}`,
        formatSeconds(stepSec),
      ]),
    ),
  );
}

function unfitSections(result: Infeasible): readonly string[] {
  const of = result.reason === "hostMemory" ? " of host memory" : "";
  const need = `Pipeline rank ${result.pipelineRank} needs ${formatBytes(result.needBytes)} of ${formatBytes(result.haveBytes)}${of}, ${formatBytes(result.needBytes - result.haveBytes)} too much.`;
  const buffers = result.largestBuffers ?? [];
  const suggestions = result.suggestions ?? [];
  return [
    section("Memory", need, memoryChart([{ name: `rank ${result.pipelineRank}`, memory: result.memory }])),
    ...(buffers.length === 0
      ? []
      : [
          section(
            "Largest buffers at the peak",
            "",
            pageTable(
              [{ title: "Buffer" }, { title: "Copies" }, { title: "Together" }],
              buffers.map(({ name, count, sizeBytes }) => [name, grouped(count), formatBytes(sizeBytes)]),
            ),
          ),
        ]),
    section(
      "Changes that fit",
      suggestions.length === 0
        ? "Neither one nor two changes of the strategy make it fit: use more devices, or devices with more memory."
        : "",
      suggestions.length === 0
        ? ""
        : pageTable(
            [{ title: "Change" }, { title: "Needs" }, { title: "Step" }],
            suggestions.map(({ changes, needBytes, stepSec }) => [
              Object.entries(changes)
                .map(([path, value]) => `${specKey(path).replace(/^(strategy|workload)\./, "")}=${value}`)
                .join(", "),
              formatBytes(needBytes),
              stepSec === undefined ? "" : formatSeconds(stepSec),
            ]),
          ),
    ),
  ];
}

function planSection({ plans, proven, counts, miss }: PlanOutcome): string {
  const considered = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const verdict = `${proven ? "Proven best under the cost model" : "Best found, not proven"}, of ${formatCount(considered)} strategies.`;
  const [best] = plans;
  if (best === undefined)
    return section(
      "Best strategies",
      `Nothing fits${miss === null ? "" : `; the nearest needs ${formatBytes(miss.infeasible.needBytes)} of ${formatBytes(miss.infeasible.haveBytes)}`}.`,
      "",
    );
  const rows = plans.map(({ spec, result, value, tie }, i) => [
    `${i + 1}. ${layoutText(spec.strategy)}`,
    formatSeconds(result.stepSec),
    i === 0 ? "" : `+${((value / best.value - 1) * 100).toFixed(1)} %`,
    formatPercent(result.mfuCausal),
    formatBytes(result.ranks[result.peakRank]!.memory.peakBytes), // an index of ranks
    tie ? "tie" : "",
  ]);
  return section(
    "Best strategies",
    verdict,
    pageTable(
      [
        { title: "Strategy" },
        { title: "Step" },
        { title: "Slower by" },
        { title: "MFU" },
        { title: "Peak memory" },
        { title: "", align: "left" },
      ],
      rows,
    ),
  );
}

function assumptions({ spec, result, command }: JobReport): string {
  const sources =
    result.kind === "ok"
      ? [
          `Seconds of the step by where they come from: ${Object.entries(result.sources)
            .filter(([, share]) => share > 0)
            .sort((a, b) => b[1] - a[1])
            .map(([name, share]) => `${name} ${formatPercent(share)}`)
            .join(", ")}`,
        ]
      : [];
  const notes = [
    ...spec.notes,
    ...(result.kind === "ok" ? result.notes : []),
    ...spec.model.notes.map((note) => `Model: ${note}`),
    `Software: ${spec.software.source}`,
  ];
  return section(
    "Assumptions, sources and accuracy",
    "",
    `${plainList([...notes, ...sources, ...accuracyNote()])}<p class="note">The same prediction in a terminal: <code>${escaped(command)}</code></p>`,
  );
}
