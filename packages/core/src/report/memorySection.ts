// Memory of one pipeline rank against its capacity: a bar and one line per part.

import type { MemoryBreakdown } from "../simulate/types.ts";
import { formatBytes, formatPercent } from "../units/format.ts";
import { stackedBar } from "./bars.ts";
import type { ReportStyle } from "./paint.ts";
import { memoryParts } from "./stepParts.ts";
import { visibleWidth } from "./textTable.ts";

const leastShownBytes = 2 ** 20;

/** Title, bar against capacity and one line per part. */
export function memorySection(
  memory: MemoryBreakdown,
  title: string,
  { paint, width }: ReportStyle,
): readonly string[] {
  const barWidth = Math.max(20, Math.min(72, width - 12));
  // What exceeds capacity must show: the scale is the larger of the two.
  const scale = Math.max(memory.capacityBytes, memory.peakBytes);
  // A few bytes of scratch are no part of the picture.
  const parts = memoryParts
    .map((part) => ({ part, bytes: part.bytes(memory) }))
    .filter(({ bytes }) => bytes >= leastShownBytes);
  let drawn = "";
  let at = 0;
  for (const { part, bytes } of parts) {
    const from = Math.round((at / scale) * barWidth);
    at += bytes;
    const to = Math.round((at / scale) * barWidth);
    drawn += paint[part.tone](part.fill.repeat(Math.max(0, to - from)));
  }
  const used = Math.round((at / scale) * barWidth);
  const share = memory.peakBytes / memory.capacityBytes;
  const tone = share > 1 ? "red" : share > 0.92 ? "yellow" : "bold";
  const line =
    memory.peakBytes > memory.capacityBytes
      ? `${" ".repeat(2 + Math.round((memory.capacityBytes / scale) * barWidth))}▲ capacity ${formatBytes(memory.capacityBytes)}`
      : null;
  return [
    `${paint.bold("Memory")} ${paint.dim(`(${title})`)}  ${paint[tone](`${formatBytes(memory.peakBytes)} of ${formatBytes(memory.capacityBytes)}, ${formatPercent(share)}`)}`,
    `  ${drawn}${paint.dim(stackedBar([], Math.max(0, barWidth - used), "·"))}`,
    ...(line === null ? [] : [paint.red(line)]),
    ...wrapped(
      parts.map(({ part, bytes }) => `${paint[part.tone](part.fill)} ${part.name} ${formatBytes(bytes)}`),
      "   ",
      width,
    ),
  ];
}

/** Pieces in lines of at most `width` columns. */
function wrapped(pieces: readonly string[], between: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  let columns = 0;
  for (const piece of pieces) {
    const size = visibleWidth(piece);
    if (columns > 0 && columns + between.length + size > width - 2) {
      lines.push(`  ${line}`);
      line = "";
      columns = 0;
    }
    line += columns === 0 ? piece : between + piece;
    columns += (columns === 0 ? 0 : between.length) + size;
  }
  return columns === 0 ? lines : [...lines, `  ${line}`];
}
