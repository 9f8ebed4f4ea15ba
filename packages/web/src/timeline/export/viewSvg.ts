// The stretch in view as an SVG: all rows of all groups, spans as rectangles, slivers joined where they share a pixel. Bounded by the pixels of
// the picture, like the canvas.

import { firstAbove, type Row, type SpanTable } from "../model/spanTable.ts";
import { categoryColour, stripAlpha, wantsDarkText } from "../paint/categoryColour.ts";
import type { CanvasTheme } from "../paint/spanCanvas.ts";
import { HEAD_PX, layoutRows } from "../view/layout.ts";
import { type TimeRange, ticks } from "../view/range.ts";

const NAMES = 150;
const WIDTH = 1400;
const AXIS = 20;
const TITLE = 22;
/** Narrower spans are joined with neighbours of their colour. */
const LEAST_PX = 0.6;

export function viewSvg(
  panels: readonly { readonly title: string; readonly remark: string; readonly table: SpanTable }[],
  range: TimeRange,
  theme: Pick<CanvasTheme, "isDark" | "surface" | "rowGround" | "line" | "text" | "textDim">,
): string {
  const pieces: string[] = [];
  let top = 0;
  const pxPerSec = (WIDTH - NAMES) / (range.untilSec - range.fromSec);
  const xOf = (sec: number) => NAMES + (sec - range.fromSec) * pxPerSec;
  for (const { title, remark, table } of panels) {
    pieces.push(text(8, top + 15, `${title}  ${remark}`, theme.text, "600"));
    top += TITLE;
    const { timesSec, label } = ticks(range, (WIDTH - NAMES) / 90);
    for (const sec of timesSec) pieces.push(text(xOf(sec) + 3, top + 14, label(sec), theme.textDim));
    const axisTop = top;
    top += AXIS;
    const layout = layoutRows(table, () => table.rows.length <= 26);
    const height = layout.heightPx;
    for (const sec of timesSec) pieces.push(rect(xOf(sec), axisTop, 1, AXIS + height, theme.line));
    for (const group of layout.groups) {
      pieces.push(text(8, top + group.topPx + 13, table.groups[group.groupIndex]!.name, theme.text, "600"));
      if (group.charges !== null)
        pieces.push(
          ...spansOf(table, group.charges, {
            top: top + group.topPx + 4,
            height: HEAD_PX - 8,
            range,
            xOf,
            theme,
            isStrip: true,
          }),
        );
      for (const { row, topPx, heightPx } of group.rows) {
        if (row.depth === 0) pieces.push(text(20, top + topPx + heightPx / 2 + 4, row.stream, theme.textDim));
        pieces.push(...spansOf(table, row, { top: top + topPx, height: heightPx, range, xOf, theme, isStrip: false }));
      }
    }
    top += height + 8;
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${top}" font-family="sans-serif" font-size="11"><rect width="${WIDTH}" height="${top}" fill="${theme.surface}"/>${pieces.join("\n")}</svg>\n`;
}

function* spansOf(
  table: SpanTable,
  row: Row,
  at: {
    readonly top: number;
    readonly height: number;
    readonly range: TimeRange;
    readonly xOf: (sec: number) => number;
    readonly theme: { readonly isDark: boolean };
    readonly isStrip: boolean;
  },
): Generator<string> {
  const { range, xOf, top, height, theme, isStrip } = at;
  const { startSec, endSec, category } = table;
  let joinedFrom = 0;
  let joinedTo = -1;
  let joinedOf = -1;
  const colourOf = (kind: number) => {
    const { light, dark } = categoryColour(table.categories[kind]!);
    return theme.isDark ? dark : light;
  };
  const flush = function* () {
    if (joinedOf >= 0)
      yield rect(
        joinedFrom,
        top,
        Math.max(LEAST_PX, joinedTo - joinedFrom),
        height,
        colourOf(joinedOf),
        isStrip ? stripAlpha(table.categories[joinedOf]!) : 1,
      );
    joinedOf = -1;
  };
  for (let i = firstAbove(endSec, row.from, row.to, range.fromSec); i < row.to && startSec[i]! < range.untilSec; i++) {
    const x0 = Math.max(NAMES, xOf(startSec[i]!));
    const x1 = Math.min(WIDTH, xOf(endSec[i]!));
    if (x1 - x0 < LEAST_PX) {
      if (joinedOf >= 0 && x0 - joinedTo < LEAST_PX && (joinedOf === category[i] || x0 - joinedFrom < LEAST_PX)) {
        joinedTo = Math.max(joinedTo, x1);
        continue;
      }
      yield* flush();
      [joinedFrom, joinedTo, joinedOf] = [x0, x1, category[i]!];
      continue;
    }
    yield* flush();
    const colour = colourOf(category[i]!);
    yield rect(
      x0,
      top,
      Math.max(0.4, x1 - x0 - (isStrip ? 0 : 0.5)),
      height,
      colour,
      isStrip ? stripAlpha(table.categories[category[i]!]!) : 1,
    );
    const name = table.names[table.name[i]!]!;
    if (!isStrip && x1 - x0 > 6.2 * name.length + 6)
      yield text(x0 + 3, top + height / 2 + 4, name, wantsDarkText(colour) ? "#0b1118" : "#ffffff");
  }
  yield* flush();
}

function rect(x: number, y: number, width: number, height: number, fill: string, opacity = 1): string {
  return `<rect x="${x.toFixed(2)}" y="${y}" width="${width.toFixed(2)}" height="${height}" fill="${fill}"${opacity === 1 ? "" : ` fill-opacity="${opacity}"`}/>`;
}

function text(x: number, y: number, content: string, fill: string, weight = "400"): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  return `<text x="${x.toFixed(2)}" y="${y.toFixed(1)}" fill="${fill}" font-weight="${weight}">${escaped}</text>`;
}
