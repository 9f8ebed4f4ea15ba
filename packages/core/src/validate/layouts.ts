// Does the predicted best layout turn out best? Measured rows of one job under several layouts: the same source, accelerator, number of devices, model,
// sequence, global batch and precision. In each such group the prediction chooses a layout; its regret is how much slower than the measured best that
// layout was measured to be. An absolute error that all layouts of a job share costs nothing here; an error in what tells them apart does.
//
// A layout is what a planner chooses: mesh, schedule and chunks, micro-batch, sharding, recomputation, offload. Repeated runs of one layout (other
// versions of the software) count as their mean; where some versions measured several layouts, only these say anything about the choice, and only they
// count. A layout that is predicted not to fit cannot be chosen. Rows of tier `aux` are not scored, as elsewhere.

import type { Strategy } from "../parallel/strategy.ts";
import { detectFile, isServingRow } from "./detect.ts";
import { readJsonLines } from "./jsonLines.ts";
import { child, num, type Row, text as textOf } from "./rowReader.ts";
import { type Predictor, scoreTrainingRow } from "./scoreTraining.ts";
import { quantile } from "./summary.ts";
import { specOfRow } from "./trainingRows.ts";
import type { InputFinding } from "./types.ts";

export interface LayoutFigures {
  /** In words, such as `tp 8, pp 4 x 2, dp 12, micro-batch 1, zero1`. */
  readonly layout: string;
  readonly rows: readonly string[];
  /** Seconds of a step, mean of the layout's runs. */
  readonly measured_s: number;
  readonly predicted_s: number;
  /** Predicted not to fit in every run, so it was not chosen. */
  readonly refused: boolean;
}

export interface LayoutGroup {
  readonly source_key: string;
  readonly accelerator: string;
  readonly gpus: number;
  readonly model: string;
  readonly seq_len: number;
  readonly global_batch: number;
  readonly precision: string;
  /** Fastest measured first. */
  readonly layouts: readonly LayoutFigures[];
  readonly measured_best: string;
  /** Null when no layout is predicted to fit. */
  readonly predicted_best: string | null;
  /** Measured step of the predicted best over that of the measured best, minus 1; null without a choice. */
  readonly regret_frac: number | null;
}

export interface LayoutSummary {
  readonly groups: number;
  /** Groups whose regret is at most `WITHIN_FRAC`, and their share. */
  readonly within: number;
  readonly within_share: number;
  /** Groups whose predicted best is the measured best. */
  readonly exact: number;
  /** Over groups with a choice. */
  readonly mean_regret: number;
  readonly median_regret: number;
  readonly worst_regret: number;
  /** Mean regret of a choice at random among a group's layouts: what no prediction at all would lose. */
  readonly random_regret: number;
}

export interface LayoutReport {
  readonly version: 1;
  readonly groups: readonly LayoutGroup[];
  readonly summary: LayoutSummary;
  readonly findings: readonly InputFinding[];
}

/** A choice within this of the measured best counts as right: repeated runs differ by up to 2 %. */
export const WITHIN_FRAC = 0.05;

interface Run {
  readonly id: string;
  readonly layout: string;
  readonly softwareVersion: string;
  readonly measuredSec: number;
  readonly predictedSec: number;
  readonly refused: boolean;
}

/** Groups of the rows of one file. */
export function validateLayouts(
  file: { readonly name: string; readonly text: string },
  options: { readonly predict: Predictor },
): LayoutReport {
  const detected = detectFile(file.name, file.text);
  if (detected.kind !== "rows") {
    const reason = detected.kind === "unknown" ? detected.reason : `it is a table of ${detected.kind}`;
    const message = `"${file.name}" holds no training rows, which layouts are compared in: ${reason}`;
    return { version: 1, groups: [], summary: summariseGroups([]), findings: [{ line: 1, message }] };
  }
  const { rows, findings } = readJsonLines(file.text);
  const jobs = new Map<string, Row[]>();
  for (const { row } of rows) {
    if (isServingRow(row) || textOf(row, "tier") === "aux" || measuredSec(row) === undefined) continue;
    const key = jobKey(row);
    jobs.set(key, [...(jobs.get(key) ?? []), row]);
  }
  const groups: LayoutGroup[] = [];
  for (const [, members] of [...jobs].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const layouts = members.map(layoutOf);
    if (new Set(layouts.filter((layout) => layout !== undefined)).size < 2) continue;
    const runs = members.flatMap((row, i) => {
      const layout = layouts[i];
      return layout === undefined ? [] : runOf(row, layout, options.predict);
    });
    const group = groupOf(members[0]!, comparable(runs));
    if (group !== null) groups.push(group);
  }
  return { version: 1, groups, summary: summariseGroups(groups), findings };
}

function jobKey(row: Row): string {
  // Numbers of one width sort as numbers.
  const number = (key: string) => String(num(row, key) ?? "").padStart(12);
  const model = textOf(child(row, "model"), "name");
  const words = [textOf(row, "source_key"), textOf(row, "accelerator"), model, textOf(row, "precision")];
  return [...words, number("gpus"), number("seq_len"), number("global_batch")].join("|");
}

function measuredSec(row: Row): number | undefined {
  const measured = child(row, "measured");
  const stepSec = num(measured, "step_time_s");
  if (stepSec !== undefined) return stepSec;
  const tokens = num(measured, "tokens_per_s_per_gpu");
  const perStep = (num(row, "global_batch") ?? 0) * (num(row, "seq_len") ?? 0);
  return tokens === undefined || tokens <= 0 || perStep <= 0 ? undefined : perStep / tokens / (num(row, "gpus") ?? 1);
}

/** In words; undefined for a row that cannot be expressed. */
function layoutOf(row: Row): string | undefined {
  const spec = specOfRow(row);
  return "unsupported" in spec ? undefined : layoutWords(spec.strategy, spec.ladder.length > 0);
}

function layoutWords(s: Strategy, openRecompute: boolean): string {
  return [
    `tp ${s.tp}`,
    ...(s.cp > 1 ? [`cp ${s.cp}`] : []),
    ...(s.pp > 1 ? [s.numChunks > 1 ? `pp ${s.pp} x ${s.numChunks}` : `pp ${s.pp}`] : []),
    ...(s.pp > 1 && !["1f1b", "interleaved"].includes(s.schedule) ? [s.schedule] : []),
    `dp ${s.dp}`,
    ...(s.ep > 1 ? [s.etp > 1 ? `ep ${s.ep} x etp ${s.etp}` : `ep ${s.ep}`] : []),
    `micro-batch ${s.microBatch}`,
    ...(s.sharding === "none" ? [] : [s.shardGroup < s.dp * s.cp ? `${s.sharding} in ${s.shardGroup}` : s.sharding]),
    ...(s.tp > 1 && !s.sequenceParallel ? ["no sequence parallel"] : []),
    ...(s.recompute.kind === "none" ? [] : [`recompute ${recomputeWords(s)}`]),
    ...(openRecompute ? ["recompute not stated"] : []),
    ...(s.offloadOptimizer || s.offloadActivations ? ["offload"] : []),
  ].join(", ");
}

function recomputeWords({ recompute }: Strategy): string {
  return recompute.kind === "selective" ? recompute.modules.join("+") : recompute.kind;
}

function runOf(row: Row, layout: string, predict: Predictor): Run[] {
  const scored = scoreTrainingRow(row, predict);
  const measured = measuredSec(row);
  const predicted = scored.predicted?.step_time_s;
  if (measured === undefined || predicted === undefined || !Number.isFinite(predicted)) return [];
  return [
    {
      id: scored.id,
      layout,
      softwareVersion: textOf(row, "framework_version_or_date") ?? "",
      measuredSec: measured,
      predictedSec: predicted,
      refused: scored.status === "infeasible",
    },
  ];
}

/** Runs of software versions that measured several layouts; all runs where no version did. */
function comparable(runs: readonly Run[]): readonly Run[] {
  const layoutsOf = (version: string) =>
    new Set(runs.filter((run) => run.softwareVersion === version).map((run) => run.layout)).size;
  const paired = runs.filter((run) => layoutsOf(run.softwareVersion) >= 2);
  return paired.length > 0 ? paired : runs;
}

function groupOf(row: Row, runs: readonly Run[]): LayoutGroup | null {
  const byLayout = new Map<string, Run[]>();
  for (const run of runs) byLayout.set(run.layout, [...(byLayout.get(run.layout) ?? []), run]);
  if (byLayout.size < 2) return null;
  const layouts = [...byLayout]
    .map(
      ([layout, members]): LayoutFigures => ({
        layout,
        rows: members.map(({ id }) => id),
        measured_s: mean(members.map((run) => run.measuredSec)),
        predicted_s: mean(members.map((run) => run.predictedSec)),
        refused: members.every((run) => run.refused),
      }),
    )
    .sort((a, b) => a.measured_s - b.measured_s || (a.layout < b.layout ? -1 : 1));
  const best = layouts[0]!;
  let chosen: LayoutFigures | undefined;
  for (const layout of layouts)
    if (!layout.refused && (chosen === undefined || layout.predicted_s < chosen.predicted_s)) chosen = layout;
  return {
    source_key: textOf(row, "source_key") ?? "unknown source",
    accelerator: textOf(row, "accelerator") ?? "",
    gpus: num(row, "gpus") ?? 0,
    model: textOf(child(row, "model"), "name") ?? "",
    seq_len: num(row, "seq_len") ?? 0,
    global_batch: num(row, "global_batch") ?? 0,
    precision: textOf(row, "precision") ?? "",
    layouts,
    measured_best: best.layout,
    predicted_best: chosen?.layout ?? null,
    regret_frac: chosen === undefined ? null : chosen.measured_s / best.measured_s - 1,
  };
}

/** Summary over any set of groups, such as those of several files. */
export function summariseGroups(groups: readonly LayoutGroup[]): LayoutSummary {
  const regrets = groups.flatMap((group) => group.regret_frac ?? []).sort((a, b) => a - b);
  const within = regrets.filter((regret) => regret <= WITHIN_FRAC).length;
  const random = groups.map(({ layouts }) =>
    mean(layouts.map((layout) => layout.measured_s / layouts[0]!.measured_s - 1)),
  );
  return {
    groups: groups.length,
    within,
    within_share: groups.length === 0 ? 0 : within / groups.length,
    exact: groups.filter((group) => group.predicted_best === group.measured_best).length,
    mean_regret: mean(regrets),
    median_regret: quantile(regrets, 0.5),
    worst_regret: regrets.at(-1) ?? 0,
    random_regret: mean(random),
  };
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
