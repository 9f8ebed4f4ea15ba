// The small canvases around the rows: the axis of time, memory over time, and the map of the whole.

import { formatBytes } from "@meshwright/core/units";
import { firstAbove, type MemoryTrack, type SpanTable } from "../model/spanTable.ts";
import { type TimeRange, ticks } from "../view/range.ts";
import { paletteOf, stripAlpha } from "./categoryColour.ts";
import { paintClasses, RowPainter } from "./coverage.ts";
import type { CanvasSize, CanvasTheme } from "./spanCanvas.ts";

export function drawAxis(
  context: CanvasRenderingContext2D,
  at: {
    readonly range: TimeRange;
    readonly size: CanvasSize;
    readonly theme: CanvasTheme;
    readonly pointerSec: number | null;
  },
): void {
  const { range, size, theme, pointerSec } = at;
  context.setTransform(size.scale, 0, 0, size.scale, 0, 0);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, size.widthPx, size.heightPx);
  const xOf = (sec: number) => ((sec - range.fromSec) / (range.untilSec - range.fromSec)) * size.widthPx;
  const { timesSec, label } = ticks(range, size.widthPx / 90);
  context.font = `11px ${theme.font}`;
  context.textBaseline = "middle";
  for (const sec of timesSec) {
    const x = Math.round(xOf(sec));
    context.fillStyle = theme.line;
    context.fillRect(x, 0, 1, size.heightPx);
    context.fillStyle = theme.textDim;
    context.fillText(label(sec), x + 4, size.heightPx / 2 + 0.5);
  }
  if (pointerSec === null) return;
  const digits = ticks(range, size.widthPx / 4);
  const text = digits.label(pointerSec);
  const width = context.measureText(text).width + 8;
  const x = Math.min(Math.max(0, xOf(pointerSec) - width / 2), size.widthPx - width);
  context.fillStyle = theme.text;
  context.fillRect(x, 2, width, size.heightPx - 4);
  context.fillStyle = theme.surface;
  context.fillText(text, x + 4, size.heightPx / 2 + 0.5);
}

/** Sample of a track that holds at a time; -1 before the first. */
export function sampleAt(track: MemoryTrack, sec: number): number {
  return firstAbove(track.timeSec, 0, track.timeSec.length, sec) - 1;
}

export function totalBytes(track: MemoryTrack, sample: number): number {
  let sum = 0;
  if (sample >= 0) for (const { bytes } of track.parts) sum += bytes[sample]!;
  return sum;
}

/** Sample with the largest sum over all time. */
export function peakSample(track: MemoryTrack): number {
  let peak = 0;
  for (let i = 1; i < track.timeSec.length; i++) if (totalBytes(track, i) > totalBytes(track, peak)) peak = i;
  return peak;
}

/** For each pixel column the sample with the largest sum among those that hold in it: a peak is never lost to a coarse view. */
export function columnSamples(track: MemoryTrack, range: TimeRange, widthPx: number): Int32Array {
  const samples = new Int32Array(widthPx);
  const secPerPx = (range.untilSec - range.fromSec) / widthPx;
  let next = sampleAt(track, range.fromSec);
  for (let column = 0; column < widthPx; column++) {
    let best = next;
    const untilSec = range.fromSec + (column + 1) * secPerPx;
    while (next + 1 < track.timeSec.length && track.timeSec[next + 1]! < untilSec) {
      next++;
      if (best < 0 || totalBytes(track, next) > totalBytes(track, best)) best = next;
    }
    samples[column] = best;
  }
  return samples;
}

export function drawMemory(
  context: CanvasRenderingContext2D,
  track: MemoryTrack | null,
  at: {
    readonly range: TimeRange;
    readonly size: CanvasSize;
    readonly theme: CanvasTheme;
    readonly colourOf: (key: string) => string;
    readonly pointerSec: number | null;
    readonly mostBytes: number;
  },
): void {
  const { range, size, theme } = at;
  context.setTransform(size.scale, 0, 0, size.scale, 0, 0);
  context.fillStyle = theme.surface;
  context.fillRect(0, 0, size.widthPx, size.heightPx);
  if (track === null || at.mostBytes <= 0) return;
  const columns = Math.max(1, Math.round(size.widthPx));
  const samples = columnSamples(track, range, columns);
  const yOf = (bytes: number) => size.heightPx - 1 - (bytes / (at.mostBytes * 1.04)) * (size.heightPx - 6);
  const base = new Float64Array(columns);
  const last = sampleAt(track, range.untilSec);
  if (last < 0) return;
  for (const { key, bytes } of track.parts) {
    context.beginPath();
    for (let column = 0; column < columns; column++) {
      const sample = samples[column]!;
      const y = yOf(base[column]! + (sample < 0 ? 0 : bytes[sample]!));
      context.lineTo(column, y);
      context.lineTo(column + 1, y);
    }
    for (let column = columns - 1; column >= 0; column--) {
      const y = yOf(base[column]!);
      context.lineTo(column + 1, y);
      context.lineTo(column, y);
      const sample = samples[column]!;
      base[column]! += sample < 0 ? 0 : bytes[sample]!;
    }
    context.closePath();
    context.globalAlpha = 0.85;
    context.fillStyle = at.colourOf(key);
    context.fill();
  }
  context.globalAlpha = 1;
  context.font = `11px ${theme.font}`;
  context.textBaseline = "bottom";
  if (track.capacityBytes !== null && track.capacityBytes <= at.mostBytes * 1.04) {
    const y = Math.round(yOf(track.capacityBytes)) + 0.5;
    context.strokeStyle = theme.text;
    context.setLineDash([4, 3]);
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(size.widthPx, y);
    context.stroke();
    context.setLineDash([]);
    const label = `capacity ${formatBytes(track.capacityBytes)}`;
    context.fillStyle = theme.surface;
    context.globalAlpha = 0.75;
    context.fillRect(3, y + 2, context.measureText(label).width + 6, 14);
    context.globalAlpha = 1;
    context.fillStyle = theme.text;
    context.textBaseline = "top";
    context.fillText(label, 6, y + 3);
  }
  if (at.pointerSec === null) return;
  const x = Math.round(((at.pointerSec - range.fromSec) / (range.untilSec - range.fromSec)) * size.widthPx);
  context.fillStyle = theme.textDim;
  context.globalAlpha = 0.6;
  context.fillRect(x, 0, 1, size.heightPx);
  context.globalAlpha = 1;
}

/** Every group as a thin line: its charges, or its fullest row. Drawn once for a table and a size. */
export function drawMap(
  context: CanvasRenderingContext2D,
  table: SpanTable,
  at: { readonly range: TimeRange; readonly size: CanvasSize; readonly theme: CanvasTheme },
): void {
  const { size, theme, range } = at;
  const width = Math.round(size.widthPx * size.scale);
  const height = Math.round(size.heightPx * size.scale);
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = theme.rowGround;
  context.fillRect(0, 0, width, height);
  const rows = table.groups.flatMap((_, groupIndex) => {
    const own = table.rows.filter((row) => row.groupIndex === groupIndex);
    const charges = own.find(({ role }) => role === "charges");
    if (charges !== undefined) return [charges];
    return own.length === 0 ? [] : [own.reduce((a, b) => (b.to - b.from > a.to - a.from ? b : a))];
  });
  if (rows.length === 0 || width === 0) return;
  const painter = new RowPainter();
  const palette = paletteOf(table.categories, theme.isDark, stripAlpha, 1);
  const classes = paintClasses(table, null);
  const pixels = new Uint8ClampedArray(width * rows.length * 4);
  const view = { fromSec: range.fromSec, secPerPx: (range.untilSec - range.fromSec) / width };
  rows.forEach(({ from, to }, i) => {
    const spans = { startSec: table.startSec, endSec: table.endSec, from, to };
    painter.paint(pixels, i * width * 4, width, spans, view, classes, palette, Number.POSITIVE_INFINITY);
  });
  const scratch = document.createElement("canvas");
  scratch.width = width;
  scratch.height = rows.length;
  scratch.getContext("2d")!.putImageData(new ImageData(pixels, width, rows.length), 0, 0); // a canvas of ours has a 2d context
  context.imageSmoothingEnabled = rows.length > height;
  context.drawImage(scratch, 0, 0, width, rows.length, 0, 0, width, height);
}
