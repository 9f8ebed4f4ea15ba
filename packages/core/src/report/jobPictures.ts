// The pictures of a job's page: where the time goes, from peak to achieved, memory of the pipeline ranks, the timeline. Each is a section with its table.

import type { Waterfall } from "../plan/index.ts";
import type { MemoryBreakdown, RankClass, StepResult } from "../simulate/types.ts";
import { formatBytes, formatPercent, formatSeconds } from "../units/format.ts";
import { barChart, type ChartRow, escaped } from "./barChart.ts";
import { legendText, pageTable, section, wide, wideChart } from "./htmlPage.ts";
import { memoryParts, timeParts } from "./stepParts.ts";
import { pictureLegend, stepPicture } from "./stepPicture.ts";
import { rankName, slowestRank } from "./stepReport.ts";
import { type WaterfallRow, waterfallRows } from "./waterfallRows.ts";

const partClass = (key: string) => `part-${key.replace("exposed_", "")}`;

export function timeSection(result: StepResult): string {
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

export function waterfallSection(of: Waterfall): string {
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

export function memorySection(result: StepResult): string {
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

export function memoryChart(bars: readonly { readonly name: string; readonly memory: MemoryBreakdown }[]): string {
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

export function timelineSection(result: StepResult): string {
  const timeline = result.timeline!; // the caller looked
  const { svg, endsSec } = stepPicture(timeline, result.stepSec);
  const note =
    endsSec === null
      ? "One pipeline from the first forward to the update."
      : `The first and the last ${formatSeconds(endsSec)} of the step; what lies between repeats.`;
  return section("Timeline", note, legendText(pictureLegend(timeline)) + wide(svg));
}
