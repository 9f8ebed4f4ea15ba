// Tables of several searches: a sweep over clusters with its curve, a Pareto front, the extremes of what fits.

import type { ExtremeSearch, FrontPoint, RankedPlan } from "../plan/index.ts";
import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "../units/format.ts";
import { drawCurve } from "./curve.ts";
import type { ReportStyle } from "./paint.ts";
import { layoutText } from "./planReport.ts";
import { textTable } from "./textTable.ts";

export interface SweepPoint {
  /** What varies, in words: `128 GPUs`, `64xb200`. */
  readonly label: string;
  readonly numDevices: number;
  /** null: nothing fits. */
  readonly plan: RankedPlan | null;
}

/** @param scaling devices vary: how the batch went with them. null: other things vary. */
export function sweepReport(
  points: readonly SweepPoint[],
  scaling: "strong" | "weak" | null,
  { width, paint }: ReportStyle,
): string {
  const first = points.find((point) => point.plan !== null);
  const perDevice = (point: SweepPoint) => point.plan!.result.tokensPerSecPerDevice;
  const rows = points.map((point) => {
    const { label, plan } = point;
    if (plan === null) return [label, "does not fit"];
    const { result, spec } = plan;
    return [
      label,
      formatSeconds(result.stepSec),
      formatCount(result.tokensPerSec),
      grouped(result.tokensPerSecPerDevice),
      first === undefined ? "" : formatPercent(perDevice(point) / perDevice(first)),
      formatPercent(result.mfuCausal),
      result.usdPerBillionTokens === null ? "" : formatUsd(result.usdPerBillionTokens),
      layoutText(spec.strategy),
    ];
  });
  const columns = ["", "step", "tokens/s", "per device", "efficiency", "MFU", "$/B tokens", "best plan"].map(
    (title, i) => ({ title, align: i === 0 || i === 7 ? ("left" as const) : ("right" as const) }),
  );
  const lines = [...textTable(columns, rows)];
  const drawn = points.filter((point) => point.plan !== null);
  if (scaling !== null && drawn.length > 1) {
    lines.push(
      "",
      ...drawCurve(
        drawn.map((point) => ({ x: point.numDevices, y: point.plan!.result.tokensPerSec })),
        {
          width: Math.min(60, width - 24),
          height: 10,
          formatX: (x) => `${grouped(x)} devices`,
          formatY: (y) => `${formatCount(y)}/s`,
          title: `${scaling} scaling: tokens per second over devices (both axes logarithmic)`,
        },
      ).map((line) => paint.dim(line)),
    );
  }
  return lines.join("\n");
}

export function frontReport(points: readonly FrontPoint[], layouts: readonly string[]): string {
  const columns = ["tokens/s", "step", "headroom", "$/B tokens", "plan"].map((title, i) => ({
    title,
    align: i === 4 ? ("left" as const) : ("right" as const),
  }));
  const rows = points.map((point, i) => [
    formatCount(point.tokensPerSec),
    formatSeconds(point.found.brief.stepSec),
    formatBytes(point.headroomBytes),
    point.usdPerBillionTokens === null ? "" : formatUsd(point.usdPerBillionTokens),
    layouts[i] ?? "",
  ]);
  return [
    "  Pareto front: no strategy under these memory limits beats one of these in throughput, headroom and cost at once",
    "",
    ...textTable(columns, rows),
  ].join("\n");
}

const units = { "fewest-gpus": "devices", "longest-seq": "tokens a sequence", "largest-model": "layers" } as const;

export function extremeReport(
  name: keyof typeof units,
  { extreme, tried }: ExtremeSearch,
  layout: string | null,
): string {
  const lines =
    extreme === null
      ? ["  nothing fits, not even the smallest size tried"]
      : [`  ${name}: ${grouped(extreme.value)} ${units[name]}`, `  fits as ${layout ?? ""}`];
  const list = tried.map(({ value, fits }) => `${grouped(value)} ${fits ? "fits" : "does not"}`).join(", ");
  return [...lines, `  tried: ${list}`].join("\n");
}
