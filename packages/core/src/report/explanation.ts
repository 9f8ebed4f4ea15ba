// The terminal report of an explanation: from the device's peak down to what the job achieves, the bottleneck, other jobs against it, what would change
// it and what a target needs. It formats an Explanation and computes nothing but sums of what it leaves out.

import type { Comparison, Explanation, Need, Needs, Sensitivity, SensitivityKind } from "../plan/index.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatPercent, formatSeconds } from "../units/format.ts";
import { waterfallBar } from "./bars.ts";
import type { ReportStyle, Tone } from "./paint.ts";
import { jobLines } from "./stepReport.ts";
import { pad, textTable } from "./textTable.ts";
import { waterfallRows } from "./waterfallRows.ts";

/** The whole report; lines joined, no trailing newline. */
export function explanationReport(spec: ResolvedSpec, explanation: Explanation, style: ReportStyle): string {
  return [
    ...jobLines(spec, style),
    "",
    ...waterfallSection(explanation, style),
    "",
    style.paint.bold(explanation.bottleneck.sentence),
    ...explanation.comparisons.flatMap((comparison) => comparisonSection(comparison, style)),
    ...explanation.unfit.flatMap(({ name, result }) => [
      "",
      `${style.paint.bold(name)} does not fit: ${style.paint.red(`it lacks ${formatPercent(result.needBytes / result.haveBytes - 1)} of a device's memory`)}`,
    ]),
    ...sensitivitySections(explanation.sensitivities, style),
    ...explanation.needs.flatMap((needs) => needsSection(needs, style)),
    ...[...spec.notes, ...explanation.result.notes].map((note) => style.paint.dim(`note ${note}`)),
  ].join("\n");
}

const tones: Readonly<Record<string, Tone>> = {
  bubble: "red",
  imbalance: "red",
  straggler: "red",
  host: "magenta",
  optimizer: "cyan",
  recompute: "blue",
  memory: "blue",
  nonModel: "blue",
  gemm: "blue",
  attention: "blue",
  clock: "blue",
};

function waterfallSection({ waterfall: of }: Explanation, { paint, width, verbose }: ReportStyle): readonly string[] {
  const barWidth = Math.max(10, Math.min(50, width - 58));
  const lines = waterfallRows(of, { all: verbose }).map((row) => {
    const isLoss = row.kind === "loss" || row.kind === "rest";
    const sign = isLoss ? (row.lossFrac > 0 ? "-" : "+") : "";
    const frac = isLoss ? Math.abs(row.lossFrac) : row.toFrac;
    const head = `  ${pad(row.name, 28, "left")}${pad(`${sign}${formatPercent(frac)}`, 9, "right")}${pad(formatSeconds(Math.abs(row.durationSec)), 10, "right")}`;
    if (row.kind === "rest") return head;
    const drawn = waterfallBar(row.fromFrac, frac, barWidth);
    const tone = row.kind === "peak" ? "dim" : row.kind === "achieved" ? "green" : (tones[row.key] ?? "yellow");
    return `${head}  ${drawn.gap}${paint[tone](drawn.bar)}`;
  });
  return [
    `${paint.bold("From peak to achieved")} ${paint.dim("(share and seconds of the step, the mean device; achieved is model FLOPs, causal)")}`,
    ...lines,
  ];
}

function comparisonSection(of: Comparison, { paint, verbose }: ReportStyle): readonly string[] {
  const tone = of.tie ? "yellow" : of.slowerFrac > 0 ? "red" : "green";
  const rows = of.differences
    .filter(({ stepFrac }) => Math.abs(stepFrac) >= (verbose ? 1e-6 : 0.003))
    .map(({ name, durationSec, stepFrac }) => [
      name,
      `${durationSec > 0 ? "+" : "-"}${formatSeconds(Math.abs(durationSec))}`,
      signed(stepFrac),
    ]);
  return [
    "",
    `${paint.bold(`Against ${of.other}`)}: ${paint[tone](of.verdict)}`,
    ...(rows.length === 0
      ? [paint.dim("  no component differs by 0.3 % of the step")]
      : textTable(
          [
            { title: "component", align: "left" },
            { title: `${of.other} more by`, align: "right" },
            { title: "of the step", align: "right" },
          ],
          rows,
        )),
    paint.dim(`  chance that ${of.other} is in truth the faster: ${formatPercent(of.otherFasterChance)}`),
  ];
}

const sections: readonly { readonly kinds: readonly SensitivityKind[]; readonly title: string; readonly of: string }[] =
  [
    { kinds: ["hardware"], title: "If the hardware were different", of: "throughput" },
    { kinds: ["strategy", "software"], title: "If the strategy or the software were different", of: "throughput" },
    { kinds: ["memory"], title: "If devices had more memory", of: "throughput" },
    { kinds: ["workload", "size"], title: "If the job were different", of: "throughput per device" },
  ];

/** Effects below this are counted, not listed. */
const EFFECT_FRAC = 0.001;
const mostListed = 8;

function sensitivitySections(all: readonly Sensitivity[], { paint, width, verbose }: ReportStyle): readonly string[] {
  return sections.flatMap(({ kinds, title, of }) => {
    const mine = all.filter(({ kind }) => kinds.includes(kind));
    // What helps first, from the most; then what hurts, from the most.
    const worth = verbose ? mine : mine.filter(({ gainFrac }) => Math.abs(gainFrac) >= EFFECT_FRAC);
    const gains = worth.filter(({ gainFrac }) => gainFrac >= 0);
    const losses = worth.filter(({ gainFrac }) => gainFrac < 0);
    const shown = verbose ? [...gains, ...losses] : [...gains.slice(0, mostListed), ...losses.slice(0, mostListed / 2)];
    if (shown.length === 0) return [];
    const left = mine.length - shown.length;
    const changeWidth = Math.max(20, Math.min(72, width - 12));
    return [
      "",
      `${paint.bold(title)} ${paint.dim(`(change of ${of}${left > 0 ? `; ${left} smaller left out, --verbose shows all` : ""})`)}`,
      ...shown.map(({ change, gainFrac }) => {
        const tone = Math.abs(gainFrac) < EFFECT_FRAC ? "dim" : gainFrac > 0 ? "green" : "red";
        return `  ${pad(change, changeWidth, "left")}${paint[tone](pad(signed(gainFrac), 9, "right"))}`;
      }),
    ];
  });
}

function needsSection(needs: Needs, { paint, verbose }: ReportStyle): readonly string[] {
  const reached = needs.needs.filter((need) => need.reached);
  const rest = needs.needs.filter((need) => !need.reached);
  const row = (need: Need) => [need.reached ? paint.green("reaches") : "", need.change, need.attained];
  const shown = verbose ? [...reached, ...rest] : [...reached.slice(0, mostListed), ...rest.slice(0, 4)];
  return [
    "",
    paint.bold(`To reach ${needs.sentence}`),
    ...(shown.length === 0
      ? []
      : textTable(
          [
            { title: "", align: "left" },
            { title: "change", align: "left" },
            { title: "gives", align: "right" },
          ],
          shown.map(row),
        )),
  ];
}

function signed(frac: number): string {
  return `${frac < 0 ? "-" : "+"}${formatPercent(Math.abs(frac))}`;
}
