// `meshwright validate --layouts` as text: per job the layouts with their measured and predicted steps, then the share of jobs chosen right.

import { formatPercent, formatSeconds, grouped } from "../units/format.ts";
import { type LayoutGroup, type LayoutSummary, WITHIN_FRAC } from "../validate/layouts.ts";
import type { ReportStyle } from "./paint.ts";
import { textTable } from "./textTable.ts";

export function layoutsText(
  report: { readonly groups: readonly LayoutGroup[]; readonly summary: LayoutSummary },
  style: ReportStyle,
): string {
  const { paint, verbose } = style;
  // Jobs that the prediction chose wrong are what a reader looks for; right ones take a line each.
  return [
    ...report.groups.flatMap((group) => groupLines(group, style, verbose || !isRight(group))),
    ...(report.groups.length === 0 ? [] : [""]),
    ...summaryLines(report.summary),
    ...(verbose || report.groups.length === 0 ? [] : [paint.dim("--verbose lists the layouts of every job")]),
  ].join("\n");
}

function isRight({ regret_frac }: LayoutGroup): boolean {
  return regret_frac !== null && regret_frac <= WITHIN_FRAC;
}

function groupLines(group: LayoutGroup, { paint }: ReportStyle, all: boolean): readonly string[] {
  const job = `${group.model} on ${grouped(group.gpus)} x ${group.accelerator}, ${grouped(group.global_batch)} x ${grouped(group.seq_len)}, ${group.precision} (${group.source_key})`;
  const verdict =
    group.regret_frac === null
      ? paint.red("no layout is predicted to fit")
      : isRight(group)
        ? paint.green(group.regret_frac === 0 ? "best" : `+${formatPercent(group.regret_frac)}`)
        : paint.red(`+${formatPercent(group.regret_frac)}`);
  const head = `${paint.bold(job)}: ${verdict}`;
  if (!all) return [head];
  return [
    head,
    ...textTable(
      [
        { title: "layout", align: "left" },
        { title: "runs", align: "right" },
        { title: "measured", align: "right" },
        { title: "predicted", align: "right" },
        { title: "", align: "left" },
      ],
      group.layouts.map((layout) => [
        layout.layout,
        String(layout.rows.length),
        formatSeconds(layout.measured_s),
        formatSeconds(layout.predicted_s),
        [
          ...(layout.layout === group.measured_best ? ["measured best"] : []),
          ...(layout.layout === group.predicted_best ? ["predicted best"] : []),
          ...(layout.refused ? ["predicted not to fit"] : []),
        ].join(", "),
      ]),
    ),
  ];
}

function summaryLines(of: LayoutSummary): readonly string[] {
  if (of.groups === 0) return ["No job was measured under several layouts"];
  return [
    `Predicted best within ${Math.round(WITHIN_FRAC * 100)} % of the measured best: ${of.within} of ${of.groups} jobs (${formatPercent(of.within_share)}); the measured best itself: ${of.exact}`,
    `Slower than the measured best by ${formatPercent(of.mean_regret)} in the mean, ${formatPercent(of.median_regret)} in the median, ${formatPercent(of.worst_regret)} at worst; a layout at random would be ${formatPercent(of.random_regret)} slower`,
  ];
}
