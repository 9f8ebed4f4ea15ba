// The terminal report of a search: the best layouts, whether they are proven, what became of every strategy, and where nothing fits, why.

import { type PlanCounts, type PlanOutcome, type RankedPlan, totalCount } from "../plan/index.ts";
import { headroomNote } from "../simulate/index.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "../units/format.ts";
import type { ReportStyle } from "./paint.ts";
import { devicesText, jobLines } from "./stepReport.ts";
import { type Column, textTable } from "./textTable.ts";

export function planReport(outcome: PlanOutcome, style: ReportStyle): string {
  const { paint } = style;
  const { job, plans } = outcome;
  const lines: string[] = [
    `${paint.bold(job.name)} on ${devicesText(job.cluster)}`,
    paint.dim(
      `${grouped(job.workload.globalBatch)} sequences of ${grouped(job.workload.seqLen)} tokens a step · ${job.software.name}`,
    ),
    "",
  ];
  if (plans.length === 0) lines.push(...missLines(outcome, style));
  else {
    lines.push(...verdict(outcome, style), "", ...planTable(plans, style), "");
    lines.push(...winnerLines(outcome, style), "", ...reasonLines(outcome, style));
  }
  lines.push("", ...countLines(outcome.counts, style));
  const headroom = plans[0] === undefined ? null : headroomNote(plans[0].result.ranks);
  if (headroom !== null) lines.push(paint.yellow(`  note: ${headroom}`));
  for (const note of job.notes) lines.push(paint.dim(`  note: ${note}`));
  return lines.join("\n");
}

function verdict({ proven, plans, counts, request }: PlanOutcome, { paint }: ReportStyle): string[] {
  const of = `of ${formatCount(totalCount(counts))} strategies`;
  const least = { time: "least time", cost: "least cost per token", energy: "least energy per token" }[
    request.objective
  ];
  const ties = plans.filter((plan) => plan.tie).length;
  const line = proven
    ? `${paint.green("proven best")} ${of}: ${least} under the cost model`
    : `${paint.yellow("best found, not proven")}: ${formatCount(counts.open)} ${of} were not tried here`;
  return [
    `  ${line}`,
    ...(ties === 0
      ? []
      : [
          `  ${paint.dim(`${ties === 1 ? "1 other layout is a tie" : `${ties} other layouts are ties`}: the model does not tell them from the best`)}`,
        ]),
  ];
}

const columns: readonly Column[] = [
  { title: "", align: "right" },
  { title: "layout", align: "left" },
  { title: "step", align: "right" },
  { title: "", align: "left" },
  { title: "MFU", align: "right" },
  { title: "memory", align: "right" },
  { title: "$/B tokens", align: "right" },
  { title: "", align: "left" },
];

function planTable(plans: readonly RankedPlan[], { paint }: ReportStyle): readonly string[] {
  const best = plans[0]!.value;
  const rows = plans.map(({ spec, result, value, tie }, i) => [
    String(i + 1),
    layoutText(spec.strategy),
    formatSeconds(result.stepSec),
    i === 0 ? "" : `+${((value / best - 1) * 100).toFixed(1)} %`,
    formatPercent(result.mfuCausal),
    formatBytes(result.ranks[result.peakRank]!.memory.peakBytes),
    result.usdPerBillionTokens === null ? "" : formatUsd(result.usdPerBillionTokens),
    tie ? paint.yellow("tie") : "",
  ]);
  return textTable(columns, rows);
}

/** What bounds the best, and where the others lose. */
function reasonLines({ plans, bottleneck }: PlanOutcome, { paint }: ReportStyle): readonly string[] {
  const lines = bottleneck === null ? [] : [`  ${paint.bold("why")}   ${bottleneck}`];
  for (const { comparison } of plans) if (comparison !== null) lines.push(`        ${comparison.sentence}`);
  return lines;
}

/** A strategy in one line. */
export function layoutText(s: ResolvedSpec["strategy"]): string {
  const recompute = s.recompute;
  return [
    `tp ${s.tp}`,
    ...(s.cp > 1 ? [s.ulysses > 1 ? `cp ${s.cp} (ulysses ${s.ulysses})` : `cp ${s.cp}`] : []),
    `pp ${s.pp}${s.numChunks > 1 ? ` x ${s.numChunks}` : ""}`,
    `dp ${s.dp}`,
    ...(s.ep > 1 ? [`ep ${s.ep}${s.etp === s.tp ? "" : ` etp ${s.etp}`}`] : []),
    `mb ${s.microBatch}`,
    s.sharding,
    ...(recompute.kind === "none"
      ? []
      : recompute.kind === "selective"
        ? [`recompute ${recompute.modules.join("+")}`]
        : recompute.kind === "full" && recompute.numLayers !== "all"
          ? [`recompute ${recompute.numLayers} layers`]
          : [`recompute ${recompute.kind}`]),
    ...(s.offloadOptimizer ? ["offload optimizer"] : []),
    ...(s.offloadActivations ? ["offload activations"] : []),
    ...(s.groupOrder === undefined ? [] : [`on ${s.groupOrder.join(" then ")}`]),
    ...(s.balanceStages === true ? ["layers by speed"] : []),
    ...(s.balanceShares === true ? ["batches by speed"] : []),
  ].join(" ");
}

function winnerLines({ plans, request, job }: PlanOutcome, style: ReportStyle): readonly string[] {
  const { spec, result } = plans[0]!;
  const [, mesh, batch] = jobLines(spec, style);
  const lines = [`  ${style.paint.bold("best")}  ${mesh}`, `        ${batch}`];
  const { tokens } = request;
  if (tokens !== null) {
    const days = tokens / result.tokensPerSec / 86400;
    const usd =
      result.usdPerBillionTokens === null ? "" : ` for ${formatUsd((result.usdPerBillionTokens * tokens) / 1e9)}`;
    lines.push(
      `        ${formatCount(tokens)} tokens take ${days.toFixed(1)} days on ${grouped(job.cluster.numDevices)} devices${usd}`,
    );
  }
  return lines;
}

const fates: readonly (readonly [keyof PlanCounts, string])[] = [
  ["timeByKernels", "pruned by time: kernels alone"],
  ["timeByLayer", "pruned by time: chain of a layer, mean over the pipeline"],
  ["timeByRecompute", "pruned by time: chain of a layer with its recomputation"],
  ["timeByPipeline", "pruned by time: pipeline from floors of its stages"],
  ["timeByStages", "pruned by time: pipeline from simulated stages"],
  ["timeByEnding", "pruned by time: gathers, reductions and update"],
  ["memory", "pruned by memory: what persists and the least stash"],
  ["engine", "left out: the engine cannot run them"],
  ["simulated", "simulated, fit"],
  ["simulatedTooLarge", "simulated, do not fit"],
  ["open", "not reached"],
];

function countLines(counts: PlanCounts, { paint }: ReportStyle): readonly string[] {
  const rows = fates.filter(([key]) => counts[key] > 0).map(([key, words]) => [grouped(counts[key]), words]);
  const table = textTable(
    [
      { title: "", align: "right" },
      { title: "", align: "left" },
    ],
    [[grouped(totalCount(counts)), "strategies considered"], ...rows],
  );
  return table.map((line) => paint.dim(line));
}

function missLines({ miss, counts, proven, remedies }: PlanOutcome, { paint }: ReportStyle): readonly string[] {
  const all = formatCount(totalCount(counts));
  const head = proven
    ? `${paint.red("nothing fits")}: none of ${all} strategies`
    : `${paint.yellow("nothing found yet")} among ${all} strategies`;
  if (miss === null) return [`  ${head}`, `  ${whyNothing(counts, proven)}`];
  const { infeasible, spec } = miss;
  const lines = [
    `  ${head}`,
    `  the nearest needs ${formatBytes(infeasible.needBytes)} of ${formatBytes(infeasible.haveBytes)}, ${formatBytes(infeasible.needBytes - infeasible.haveBytes)} too many: ${layoutText(spec.strategy)}`,
  ];
  for (const { sentence } of remedies) lines.push(`  ${paint.cyan("fits")}: ${sentence}`);
  return lines;
}

/** Nothing was simulated: by what each strategy fell. */
function whyNothing({ memory, engine, open }: PlanCounts, proven: boolean): string {
  if (!proven)
    return open > 0
      ? `the search stopped before it tried ${formatCount(open)} of them`
      : "none that was tried here fits";
  if (memory === 0) return "the engine cannot run any of them";
  const all = engine === 0 ? "every strategy" : "every strategy that the engine can run";
  return `${all} needs more memory than a device has, by the lower bound alone`;
}
