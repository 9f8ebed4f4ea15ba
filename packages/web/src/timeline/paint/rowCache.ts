// Rows of pixels from frame to frame. A pan moves the picture by whole pixels, so a row is its pixels of the last frame shifted, and only the columns
// that came into view are painted. Anything else (a zoom, other spans, another theme) paints the row anew.

import { type PaintClasses, type Palette, RowPainter } from "./coverage.ts";

export interface PaintedRow {
  readonly pixels: Uint8ClampedArray;
  /** Spans wide enough for a text. */
  readonly wide: readonly number[];
}

interface CachedRow {
  readonly pixels: Uint8ClampedArray;
  wide: readonly number[];
  fromSec: number;
  readonly secPerPx: number;
}

export interface RowSpans {
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  readonly from: number;
  readonly to: number;
}

/** Rows that are kept: more than a screen holds. */
const MOST_ROWS = 400;
/** A move that is so near to whole pixels that nobody sees the rest. */
const WHOLE_PX = 0.02;

export class RowCache {
  private readonly painter = new RowPainter();
  private rows = new Map<unknown, CachedRow>();

  /** Forgets all rows: spans, colours or classes have changed. */
  clear(): void {
    this.rows.clear();
  }

  /** @param key names the row and how it is painted. */
  paint(
    key: unknown,
    spans: RowSpans,
    view: { readonly fromSec: number; readonly secPerPx: number; readonly widthPx: number },
    classes: PaintClasses,
    palette: Palette,
    widePx: number,
  ): PaintedRow {
    const { fromSec, secPerPx, widthPx } = view;
    const cached = this.rows.get(key);
    if (cached !== undefined && cached.pixels.length === widthPx * 4) {
      const shift = (fromSec - cached.fromSec) / secPerPx;
      const whole = Math.round(shift);
      const sameZoom = Math.abs(cached.secPerPx / secPerPx - 1) < 1e-9;
      if (sameZoom && Math.abs(shift - whole) < WHOLE_PX && Math.abs(whole) < widthPx) {
        if (whole !== 0) this.shift(cached, whole, spans, widthPx, classes, palette, widePx);
        return cached;
      }
    }
    const row: CachedRow = {
      pixels: cached?.pixels.length === widthPx * 4 ? cached.pixels : new Uint8ClampedArray(widthPx * 4),
      wide: [],
      fromSec,
      secPerPx,
    };
    row.wide = this.paintColumns(row, 0, widthPx, spans, classes, palette, widePx);
    if (this.rows.size >= MOST_ROWS) this.rows.clear();
    this.rows.set(key, row);
    return row;
  }

  private shift(
    row: CachedRow,
    byPx: number,
    spans: RowSpans,
    widthPx: number,
    classes: PaintClasses,
    palette: Palette,
    widePx: number,
  ): void {
    row.fromSec += byPx * row.secPerPx;
    const untilSec = row.fromSec + widthPx * row.secPerPx;
    const { startSec, endSec } = spans;
    const stays = row.wide.filter((span) => endSec[span]! > row.fromSec && startSec[span]! < untilSec);
    if (byPx > 0) row.pixels.copyWithin(0, byPx * 4);
    else row.pixels.copyWithin(-byPx * 4, 0);
    const came =
      byPx > 0
        ? this.paintColumns(row, widthPx - byPx, byPx, spans, classes, palette, widePx)
        : this.paintColumns(row, 0, -byPx, spans, classes, palette, widePx);
    row.wide = came.length === 0 ? stays : [...new Set([...stays, ...came])];
  }

  private paintColumns(
    row: CachedRow,
    column: number,
    count: number,
    spans: RowSpans,
    classes: PaintClasses,
    palette: Palette,
    widePx: number,
  ): readonly number[] {
    const view = { fromSec: row.fromSec + column * row.secPerPx, secPerPx: row.secPerPx };
    this.painter.wide.length = 0;
    this.painter.paint(row.pixels, column * 4, count, spans, view, classes, palette, widePx);
    return this.painter.wide.slice();
  }
}
