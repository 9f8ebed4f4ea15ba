// One job as a page to print or to send: what was asked, the step and its interval, where the time goes, memory, the timeline, what else was looked at,
// what was assumed and how far such predictions have been off. The same figures as the terminal reports; nothing is computed here but shares.

import type { ParameterCounts } from "../model/types.ts";
import type { Bottleneck, PlanOutcome, Sensitivity, Waterfall } from "../plan/index.ts";
import type { Infeasible, StepResult } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "../units/format.ts";
import { accuracyNote } from "./accuracyNote.ts";
import { escaped } from "./barChart.ts";
import { htmlPage, pageTable, plainList, section } from "./htmlPage.ts";
import { memoryChart, memorySection, timelineSection, timeSection, waterfallSection } from "./jobPictures.ts";
import { jobWords } from "./jobWords.ts";
import { layoutText } from "./planReport.ts";
import { specKey } from "./specKey.ts";
import { formatEnergy, plainNotes, rateOf, warningsOf } from "./stepReport.ts";

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
    ...(result.kind === "ok" ? plainNotes(result) : []),
    ...spec.model.notes.map((note) => `Model: ${note}`),
    `Software: ${spec.software.source}`,
  ];
  return section(
    "Assumptions, sources and accuracy",
    "",
    `${plainList([...notes, ...sources, ...accuracyNote()])}<p class="note">The same prediction in a terminal: <code>${escaped(command)}</code></p>`,
  );
}
