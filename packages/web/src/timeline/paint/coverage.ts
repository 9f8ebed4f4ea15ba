// Spans of a row as pixel columns, however many there are. Where spans are wider than a column they are drawn as they are; where many share one,
// the column is the mean of their colours by the time each covers. So a column costs two binary searches and at most 2 x BLOCK spans, and a frame
// costs rows x columns, not spans: a million spans and a thousand take about the same time.
//
// Sums of blocks of spans, by class of paint, make the mean cheap: prefix sums over blocks, the ragged ends added one by one.

import { firstAbove, type SpanTable } from "../model/spanTable.ts";

export const BLOCK = 32;

/** A class for each look that spans can have: a category, bright or dimmed. */
export interface PaintClasses {
  readonly classOf: Uint8Array;
  readonly numClasses: number;
  /** [block * numClasses + class]: seconds of that class in all blocks before. */
  readonly before: Float64Array;
}

/** @param isDim spans that step back (no match of a search, not on the critical path); null: none. */
export function paintClasses(table: SpanTable, isDim: ((span: number) => boolean) | null): PaintClasses {
  const { numSpans, category, startSec, endSec } = table;
  const numCategories = table.categories.length;
  const numClasses = numCategories * (isDim === null ? 1 : 2);
  let classOf = category;
  if (isDim !== null) {
    classOf = new Uint8Array(numSpans);
    for (let i = 0; i < numSpans; i++) classOf[i] = category[i]! + (isDim(i) ? numCategories : 0);
  }
  const numBlocks = Math.ceil(numSpans / BLOCK);
  const before = new Float64Array((numBlocks + 1) * numClasses);
  for (let block = 0; block < numBlocks; block++) {
    const at = block * numClasses;
    for (let k = 0; k < numClasses; k++) before[at + numClasses + k] = before[at + k]!;
    for (let i = block * BLOCK, to = Math.min(numSpans, i + BLOCK); i < to; i++)
      before[at + numClasses + classOf[i]!]! += endSec[i]! - startSec[i]!;
  }
  return { classOf, numClasses, before };
}

/** Colours of the classes, 0..255, and how opaque (0..1; 0 is not drawn). */
export interface Palette {
  readonly red: Float32Array;
  readonly green: Float32Array;
  readonly blue: Float32Array;
  readonly alpha: Float32Array;
}

/** Spans at least this wide keep a thin edge and may carry text. */
const EDGE_PX = 3;
/** A lone sliver shows at least this much of its colour. */
const LEAST_SHOWN = 0.35;

/** Scratch of one row; grows with the widest canvas. */
export class RowPainter {
  private red = new Float32Array(0);
  private green = new Float32Array(0);
  private blue = new Float32Array(0);
  private alpha = new Float32Array(0);
  /** Most opaque sliver of each column, 0..255. */
  private small = new Uint8Array(0);
  /** Wide spans of the rows painted since `clearWide`, for texts. */
  readonly wide: number[] = [];

  /**
   * Paints [from, to) of the table as one row of RGBA pixels.
   *
   * @param out `widthPx` pixels from byte `at` on. @param widePx spans at least this wide are noted in `wide`.
   */
  paint(
    out: Uint8ClampedArray,
    at: number,
    widthPx: number,
    spans: {
      readonly startSec: Float64Array;
      readonly endSec: Float64Array;
      readonly from: number;
      readonly to: number;
    },
    view: { readonly fromSec: number; readonly secPerPx: number },
    classes: PaintClasses,
    palette: Palette,
    widePx: number,
  ): void {
    this.reset(widthPx);
    const { startSec, endSec, to } = spans;
    const { fromSec, secPerPx } = view;
    const { classOf } = classes;
    const pxPerSec = 1 / secPerPx;
    const untilSec = fromSec + widthPx * secPerPx;
    let i = firstAbove(endSec, spans.from, to, fromSec);
    while (i < to && startSec[i]! < untilSec) {
      const x0 = (startSec[i]! - fromSec) * pxPerSec;
      const x1 = (endSec[i]! - fromSec) * pxPerSec;
      // A sliver that began to the left lies in the first column in part only: it is added by itself.
      if (x0 >= 0 && x1 - x0 < 1 && i + 1 < to) {
        const column = Math.floor(x0);
        const columnEndSec = fromSec + (column + 1) * secPerPx;
        if (startSec[i + 1]! < columnEndSec) {
          // All that start in this column but the last lie in it whole.
          const next = gallop(startSec, i + 1, to, columnEndSec);
          this.addMany(column, i, next - 1, spans, classes, palette, pxPerSec);
          i = next - 1;
          this.addOne(
            (startSec[i]! - fromSec) * pxPerSec,
            (endSec[i]! - fromSec) * pxPerSec,
            classOf[i]!,
            palette,
            widthPx,
          );
          i++;
          continue;
        }
      }
      this.addOne(x0, x1, classOf[i]!, palette, widthPx);
      if (x1 - x0 >= widePx) this.wide.push(i);
      i++;
    }
    this.write(out, at, widthPx);
  }

  private reset(widthPx: number): void {
    if (this.red.length < widthPx) {
      this.red = new Float32Array(widthPx);
      this.green = new Float32Array(widthPx);
      this.blue = new Float32Array(widthPx);
      this.alpha = new Float32Array(widthPx);
      this.small = new Uint8Array(widthPx);
      return;
    }
    this.red.fill(0, 0, widthPx);
    this.green.fill(0, 0, widthPx);
    this.blue.fill(0, 0, widthPx);
    this.alpha.fill(0, 0, widthPx);
    this.small.fill(0, 0, widthPx);
  }

  private addOne(x0: number, x1: number, kind: number, palette: Palette, widthPx: number): void {
    const opaque = palette.alpha[kind]!;
    if (opaque === 0) return;
    const { red, green, blue, alpha } = this;
    const r = palette.red[kind]!;
    const g = palette.green[kind]!;
    const b = palette.blue[kind]!;
    const from = Math.max(x0, 0);
    const until = Math.min(x1, widthPx);
    let column = Math.floor(from);
    const last = Math.floor(until);
    if (column >= widthPx) return;
    const isWide = x1 - x0 >= EDGE_PX;
    if (column >= last) {
      this.addPart(column, (until - from) * opaque, r, g, b);
      if (x1 - x0 < 1) this.noteSmall(column, opaque);
      return;
    }
    // The left edge of a wide span is let through, so that equal neighbours stay apart.
    this.addPart(column, (column + 1 - from) * (isWide && x0 >= 0 ? 0.45 : 1) * opaque, r, g, b);
    if (x1 - x0 < 1) this.noteSmall(column, opaque);
    for (column++; column < last; column++) {
      red[column] = r * opaque;
      green[column] = g * opaque;
      blue[column] = b * opaque;
      alpha[column] = opaque;
    }
    if (last >= widthPx || until === last) return;
    this.addPart(last, (until - last) * opaque, r, g, b);
    if (x1 - x0 < 1) this.noteSmall(last, opaque);
  }

  private addPart(column: number, weight: number, r: number, g: number, b: number): void {
    this.red[column]! += r * weight;
    this.green[column]! += g * weight;
    this.blue[column]! += b * weight;
    this.alpha[column]! += weight;
  }

  private noteSmall(column: number, opaque: number): void {
    const most = opaque * 255;
    if (most > this.small[column]!) this.small[column] = most;
  }

  private addMany(
    column: number,
    from: number,
    to: number,
    spans: { readonly startSec: Float64Array; readonly endSec: Float64Array },
    classes: PaintClasses,
    palette: Palette,
    pxPerSec: number,
  ): void {
    const { classOf, numClasses, before } = classes;
    const { startSec, endSec } = spans;
    const { red, green, blue, alpha } = palette;
    let firstBlock = Math.ceil(from / BLOCK);
    let lastBlock = Math.floor(to / BLOCK);
    if (lastBlock <= firstBlock) {
      firstBlock = 0;
      lastBlock = 0;
    }
    let r = 0;
    let g = 0;
    let b = 0;
    let covered = 0;
    let most = 0;
    let i = from;
    let until = firstBlock === lastBlock ? to : firstBlock * BLOCK;
    // The head before the first whole block, then the tail behind the last.
    for (let part = 0; part < 2; part++) {
      for (; i < until; i++) {
        const kind = classOf[i]!;
        const opaque = alpha[kind]!;
        const weight = (endSec[i]! - startSec[i]!) * opaque;
        r += red[kind]! * weight;
        g += green[kind]! * weight;
        b += blue[kind]! * weight;
        covered += weight;
        if (opaque > most) most = opaque;
      }
      if (firstBlock === lastBlock) break;
      i = lastBlock * BLOCK;
      until = to;
    }
    if (firstBlock !== lastBlock) {
      const low = firstBlock * numClasses;
      const high = lastBlock * numClasses;
      for (let kind = 0; kind < numClasses; kind++) {
        const sec = before[high + kind]! - before[low + kind]!;
        const opaque = alpha[kind]!;
        if (sec <= 0 || opaque === 0) continue;
        const weight = sec * opaque;
        r += red[kind]! * weight;
        g += green[kind]! * weight;
        b += blue[kind]! * weight;
        covered += weight;
        if (opaque > most) most = opaque;
      }
    }
    this.red[column]! += r * pxPerSec;
    this.green[column]! += g * pxPerSec;
    this.blue[column]! += b * pxPerSec;
    this.alpha[column]! += covered * pxPerSec;
    if (most > 0) this.noteSmall(column, most);
  }

  private write(out: Uint8ClampedArray, at: number, widthPx: number): void {
    const { red, green, blue, alpha, small } = this;
    for (let column = 0; column < widthPx; column++) {
      const to = at + column * 4;
      const covered = alpha[column]!;
      if (covered < 1e-12 || (covered < 1e-4 && small[column] === 0)) {
        out[to + 3] = 0;
        continue;
      }
      out[to] = red[column]! / covered;
      out[to + 1] = green[column]! / covered;
      out[to + 2] = blue[column]! / covered;
      const shown = covered + ((LEAST_SHOWN * small[column]!) / 255) * (1 - Math.min(1, covered));
      out[to + 3] = shown > 1 ? 255 : shown * 255;
    }
  }
}

/** First of [from, to) that starts at the time or later; looks near `from` first. */
function gallop(startSec: Float64Array, from: number, to: number, sec: number): number {
  let step = 1;
  let low = from;
  while (low + step < to && startSec[low + step]! < sec) {
    low += step;
    step *= 2;
  }
  let high = Math.min(low + step, to);
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (startSec[middle]! >= sec) high = middle;
    else low = middle + 1;
  }
  return low;
}
