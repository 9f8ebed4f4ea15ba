// Draws the rows of a table on two canvases: spans with their texts below, what moves with the pointer above. Only rows in view are painted, each as
// one line of pixels that is stretched to the row's height (coverage.ts), so the cost follows the size of the picture.

import { type Row, rowOf, type SpanTable } from "../model/spanTable.ts";
import { boxOfRow, HEAD_PX, type Layout } from "../view/layout.ts";
import type { TimeRange } from "../view/range.ts";
import { categoryColour, paletteOf, shadeAlpha, stripAlpha, wantsDarkText } from "./categoryColour.ts";
import { type PaintClasses, type Palette, paintClasses } from "./coverage.ts";
import { RowCache } from "./rowCache.ts";

export interface CanvasTheme {
  readonly isDark: boolean;
  readonly surface: string;
  readonly rowGround: string;
  readonly line: string;
  readonly text: string;
  readonly textDim: string;
  readonly accent: string;
  readonly focus: string;
  readonly font: string;
}

export interface CanvasSize {
  readonly widthPx: number;
  readonly heightPx: number;
  /** Device pixels per CSS pixel. */
  readonly scale: number;
}

export interface SpanView {
  readonly range: TimeRange;
  readonly scrollTopPx: number;
  readonly size: CanvasSize;
}

export interface Marks {
  readonly hovered: number;
  readonly pinned: number;
  readonly pointerSec: number | null;
  readonly selection: TimeRange | null;
  readonly showsPath: boolean;
}

/** Spans of a row that are wide enough for a text. */
interface Labelled {
  readonly spans: readonly number[];
  readonly topPx: number;
  readonly heightPx: number;
}

const LABEL_PX = 34;
const MOST_LABELS = 2500;

export class SpanCanvas {
  /** By look: spans, the strip of charges, the shade behind rows, the marks of the critical path. */
  private readonly caches = {
    span: new RowCache(),
    strip: new RowCache(),
    shade: new RowCache(),
    critical: new RowCache(),
  };
  private readonly scratch = document.createElement("canvas");
  private pixels = new Uint8ClampedArray(0);
  private table: SpanTable;
  private layout: Layout;
  private theme: CanvasTheme;
  private classes: PaintClasses;
  private criticalClasses: PaintClasses;
  private palettes!: Readonly<Record<"span" | "strip" | "shade" | "critical", Palette>>;
  private darkText!: readonly boolean[];
  private readonly textWidths = new Map<string, number>();
  /** Actions of the critical path in order of time. */
  private readonly path: readonly number[];
  private readonly hasCritical: ReadonlySet<Row>;

  constructor(table: SpanTable, layout: Layout, theme: CanvasTheme) {
    this.table = table;
    this.layout = layout;
    this.theme = theme;
    this.classes = paintClasses(table, null);
    this.criticalClasses = paintClasses({ ...table, category: table.critical, categories: ["", "critical"] }, null);
    this.path = pathOf(table);
    this.hasCritical = new Set(table.rows.filter(({ from, to }) => table.critical.subarray(from, to).includes(1)));
    this.setTheme(theme);
  }

  setLayout(layout: Layout): void {
    this.layout = layout;
  }

  setTheme(theme: CanvasTheme): void {
    const { categories } = this.table;
    this.theme = theme;
    this.clearCaches();
    const [r, g, b] = theme.isDark ? [255, 255, 255] : [16, 22, 28];
    this.palettes = {
      span: paletteOf(categories, theme.isDark, () => 1),
      strip: paletteOf(categories, theme.isDark, stripAlpha, 1),
      shade: paletteOf(categories, theme.isDark, shadeAlpha, 1),
      critical: {
        red: Float32Array.of(0, r),
        green: Float32Array.of(0, g),
        blue: Float32Array.of(0, b),
        alpha: Float32Array.of(0, 1),
      },
    };
    this.darkText = categories.map((key) => {
      const { light, dark } = categoryColour(key);
      return wantsDarkText(theme.isDark ? dark : light);
    });
  }

  /** @param isDim spans that step back; null: none. One pass over all spans. */
  setDim(isDim: ((span: number) => boolean) | null): void {
    this.classes = paintClasses(this.table, isDim);
    this.clearCaches();
  }

  private clearCaches(): void {
    for (const cache of Object.values(this.caches)) cache.clear();
  }

  drawSpans(context: CanvasRenderingContext2D, view: SpanView): void {
    const { theme, layout, table } = this;
    const { size, range, scrollTopPx } = view;
    const width = Math.round(size.widthPx * size.scale);
    const height = Math.round(size.heightPx * size.scale);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = theme.surface;
    context.fillRect(0, 0, width, height);
    if (width === 0 || height === 0) return;
    const px = (css: number) => Math.round((css - scrollTopPx) * size.scale);
    const groups = layout.groups.filter(
      ({ topPx, heightPx }) => topPx + heightPx > scrollTopPx && topPx < scrollTopPx + size.heightPx,
    );
    const lines = groups.reduce((sum, group) => sum + 2 + 2 * group.rows.length, 0);
    const needed = width * lines * 4;
    if (this.pixels.length !== needed) this.pixels = new Uint8ClampedArray(needed);
    const at = { fromSec: range.fromSec, secPerPx: (range.untilSec - range.fromSec) / width, widthPx: width };
    const targets: { readonly line: number; readonly topPx: number; readonly heightPx: number }[] = [];
    const labels: Labelled[] = [];
    let line = 0;
    const paint = (row: Row, look: keyof typeof this.caches, topPx: number, heightPx: number): readonly number[] => {
      const { startSec, endSec } = table;
      const spans = { startSec, endSec, from: row.from, to: row.to };
      const classes = look === "critical" ? this.criticalClasses : this.classes;
      const widePx = look === "span" ? LABEL_PX * size.scale : Number.POSITIVE_INFINITY;
      const painted = this.caches[look].paint(row, spans, at, classes, this.palettes[look], widePx);
      this.pixels.set(painted.pixels, line * width * 4);
      targets.push({ line: line++, topPx, heightPx });
      return painted.wide;
    };
    for (const group of groups) {
      context.fillStyle = theme.rowGround;
      context.fillRect(0, px(group.topPx + HEAD_PX), width, Math.round((group.heightPx - HEAD_PX) * size.scale));
      if (group.charges !== null) {
        paint(group.charges, "shade", group.topPx + HEAD_PX, group.heightPx - HEAD_PX);
        paint(group.charges, "strip", group.topPx + 4, HEAD_PX - 8);
      }
      for (const { row, topPx, heightPx } of group.rows) {
        if (topPx + heightPx <= scrollTopPx || topPx >= scrollTopPx + size.heightPx) continue;
        const wide = paint(row, "span", topPx, heightPx);
        if (wide.length > 0) labels.push({ spans: wide, topPx, heightPx });
        if (this.hasCritical.has(row)) paint(row, "critical", topPx, 2);
      }
    }
    if (this.scratch.width !== width || this.scratch.height < line) {
      this.scratch.width = width;
      this.scratch.height = Math.max(line, 1);
    }
    const scratch = this.scratch.getContext("2d")!; // a canvas of ours has a 2d context
    scratch.putImageData(new ImageData(this.pixels, width, lines), 0, 0, 0, 0, width, line);
    context.imageSmoothingEnabled = false;
    for (const target of targets)
      context.drawImage(
        this.scratch,
        0,
        target.line,
        width,
        1,
        0,
        px(target.topPx),
        width,
        Math.max(1, Math.round(target.heightPx * size.scale)),
      );
    this.drawTexts(context, view, labels);
  }

  private drawTexts(
    context: CanvasRenderingContext2D,
    { range, size, scrollTopPx }: SpanView,
    labels: readonly Labelled[],
  ): void {
    const { table, classes } = this;
    const width = size.widthPx * size.scale;
    const pxPerSec = width / (range.untilSec - range.fromSec);
    context.font = `${11 * size.scale}px ${this.theme.font}`;
    context.textBaseline = "middle";
    const pad = 4 * size.scale;
    const numCategories = table.categories.length;
    let left = MOST_LABELS;
    for (const { spans, topPx, heightPx } of labels) {
      const y = (topPx - scrollTopPx + heightPx / 2 + 0.5) * size.scale;
      for (const span of spans) {
        if (left-- <= 0) return;
        if (classes.classOf[span]! >= numCategories) continue;
        const x0 = Math.max(0, (table.startSec[span]! - range.fromSec) * pxPerSec);
        const x1 = Math.min(width, (table.endSec[span]! - range.fromSec) * pxPerSec);
        const text = this.fitText(context, table.names[table.name[span]!]!, x1 - x0 - 2 * pad, size.scale);
        if (text === "") continue;
        context.fillStyle = this.darkText[table.category[span]!]! ? "#0b1118" : "#ffffff";
        context.fillText(text, x0 + pad, y);
      }
    }
  }

  private fitText(context: CanvasRenderingContext2D, text: string, roomPx: number, scale: number): string {
    const key = `${scale} ${text}`;
    let width = this.textWidths.get(key);
    if (width === undefined) {
      width = context.measureText(text).width;
      this.textWidths.set(key, width);
    }
    if (width <= roomPx) return text;
    const letters = Math.floor((roomPx / width) * text.length) - 1;
    return letters < 2 ? "" : `${text.slice(0, letters)}…`;
  }

  drawMarks(context: CanvasRenderingContext2D, view: SpanView, marks: Marks): void {
    const { size, range } = view;
    const { theme } = this;
    context.setTransform(size.scale, 0, 0, size.scale, 0, 0);
    context.clearRect(0, 0, size.widthPx, size.heightPx);
    if (marks.showsPath) this.drawPath(context, view);
    if (marks.pinned >= 0) this.drawSends(context, view, marks.pinned);
    if (marks.hovered >= 0 && marks.hovered !== marks.pinned) this.outline(context, view, marks.hovered, theme.text, 1);
    if (marks.pinned >= 0) this.outline(context, view, marks.pinned, theme.focus, 2);
    const xOf = (sec: number) => ((sec - range.fromSec) / (range.untilSec - range.fromSec)) * size.widthPx;
    if (marks.selection !== null) {
      const x0 = xOf(marks.selection.fromSec);
      const x1 = xOf(marks.selection.untilSec);
      context.fillStyle = theme.focus;
      context.globalAlpha = 0.14;
      context.fillRect(x0, 0, x1 - x0, size.heightPx);
      context.globalAlpha = 1;
    }
    if (marks.pointerSec === null) return;
    context.fillStyle = theme.textDim;
    context.globalAlpha = 0.6;
    context.fillRect(Math.round(xOf(marks.pointerSec)), 0, 1, size.heightPx);
    context.globalAlpha = 1;
  }

  /** Where a span is on the canvas, in CSS pixels; null while it is folded away. */
  boxOf({ range, size, scrollTopPx }: SpanView, span: number, row: Row) {
    const box = boxOfRow(this.layout, row);
    if (box === null) return null;
    const pxPerSec = size.widthPx / (range.untilSec - range.fromSec);
    const x = (this.table.startSec[span]! - range.fromSec) * pxPerSec;
    const width = (this.table.endSec[span]! - this.table.startSec[span]!) * pxPerSec;
    return { x, y: box.topPx - scrollTopPx, width, height: box.heightPx };
  }

  private outline(
    context: CanvasRenderingContext2D,
    view: SpanView,
    span: number,
    colour: string,
    widthPx: number,
  ): void {
    const box = this.boxOf(view, span, rowOf(this.table, span));
    if (box === null) return;
    const x0 = Math.max(-4, box.x);
    const x1 = Math.min(view.size.widthPx + 4, Math.max(box.x + box.width, x0 + 2));
    context.strokeStyle = colour;
    context.lineWidth = widthPx;
    context.strokeRect(x0 - widthPx / 2, box.y - widthPx / 2, x1 - x0 + widthPx, box.height + widthPx);
  }

  /** From action to action of the critical path, where it changes rank. */
  private drawPath(context: CanvasRenderingContext2D, view: SpanView): void {
    const { table, theme, path } = this;
    const { range } = view;
    context.strokeStyle = theme.text;
    context.lineWidth = 1.25;
    context.setLineDash([3, 2]);
    context.beginPath();
    for (let i = 1; i < path.length; i++) {
      const [a, b] = [path[i - 1]!, path[i]!];
      if (table.startSec[b]! < range.fromSec || table.endSec[a]! > range.untilSec) continue;
      const rowA = rowOf(table, a);
      const rowB = rowOf(table, b);
      if (rowA.groupIndex !== rowB.groupIndex) this.join(context, view, [a, rowA], [b, rowB]);
    }
    context.stroke();
    context.setLineDash([]);
  }

  private drawSends(context: CanvasRenderingContext2D, view: SpanView, span: number): void {
    const { sends } = this.table;
    context.strokeStyle = this.theme.focus;
    context.lineWidth = 1.25;
    context.beginPath();
    for (let i = 0; i < sends.length; i += 2) {
      const [a, b] = [sends[i]!, sends[i + 1]!];
      if (a === span || b === span) this.join(context, view, [a, rowOf(this.table, a)], [b, rowOf(this.table, b)]);
    }
    context.stroke();
  }

  private join(
    context: CanvasRenderingContext2D,
    view: SpanView,
    from: readonly [number, Row],
    to: readonly [number, Row],
  ): void {
    const a = this.boxOf(view, ...from);
    const b = this.boxOf(view, ...to);
    if (a === null || b === null) return;
    const [x0, y0] = [a.x + a.width, a.y + a.height / 2];
    const [x1, y1] = [b.x, b.y + b.height / 2];
    const bend = Math.max(6, Math.min(40, Math.abs(x1 - x0) / 2));
    context.moveTo(x0, y0);
    context.bezierCurveTo(x0 + bend, y0, x1 - bend, y1, x1, y1);
  }
}

function pathOf(table: SpanTable): number[] {
  const path: number[] = [];
  for (const { role, from, to } of table.rows) {
    if (role !== "actions") continue;
    for (let i = from; i < to; i++) if (table.critical[i] === 1) path.push(i);
  }
  return path.sort((a, b) => table.startSec[a]! - table.startSec[b]!);
}
