// The timeline of a step as one picture (SVG): a row for each shown pipeline rank, its actions as blocks; for few ranks also the streams below them, so that
// communication beside compute shows. Blocks finer than a point would run together into a false solid bar: then only the beginning and the end of the step are
// drawn, both at a scale where blocks can be told apart, and the gap says what is left out.

import type { TimelineSpan, TimelineSpans } from "../simulate/spans.ts";
import { formatSeconds } from "../units/format.ts";
import { escaped } from "./barChart.ts";

const width = 1000;
const left = 130;
const rowHeight = 18;
const blockHeight = 13;
const axisHeight = 22;
/** Points that a block should have; below half of it the middle of the step is left out. */
const goodPoints = 2.4;
const gapPoints = 26;
/** Up to this many ranks show their streams. */
const mostWithStreams = 2;

/** Class of a category's colour (pageStyle.ts): what computes in the greens of compute, everything else by its axis. */
export function pictureClass(category: string): string {
  switch (category) {
    case "forward":
      return "act-forward";
    case "backward":
    case "compute":
      return "part-compute";
    case "weight gradient":
      return "act-weight";
    default:
      return `part-${category}`;
  }
}

/** Names of the categories that are drawn, for a legend. */
export function pictureLegend(
  timeline: TimelineSpans,
): readonly { readonly className: string; readonly name: string }[] {
  const seen = new Set(rowsOf(timeline).flatMap(({ spans }) => spans.map(({ category }) => category)));
  return [...seen].map((category) => ({ className: pictureClass(category), name: names[category] ?? category }));
}

const names: Readonly<Record<string, string>> = {
  tp: "tensor parallel comm",
  cp: "context parallel comm",
  ep: "expert exchange",
  dp: "data parallel comm",
  pp: "pipeline sends",
  copy: "host copies",
};

interface Window {
  readonly fromSec: number;
  readonly toSec: number;
  readonly x: number;
  readonly scale: number;
}

export interface StepPicture {
  readonly svg: string;
  /** Seconds at each end that are drawn; null when the whole step is. */
  readonly endsSec: number | null;
}

/** @param stepSec of the whole step: waiting for slow ranks may end after the last span. */
export function stepPicture(timeline: TimelineSpans, stepSec: number): StepPicture {
  const rows = rowsOf(timeline);
  const { windows, endsSec } = windowsOf(rows, stepSec);
  const height = rows.length * rowHeight + axisHeight;
  const drawn = rows.flatMap((row, i) => {
    const y = i * rowHeight + (rowHeight - blockHeight) / 2;
    const label = `<text x="${left - 8}" y="${y + blockHeight / 2}" text-anchor="end" dominant-baseline="central">${escaped(row.name)}</text>`;
    return [label, ...windows.flatMap((window) => blocks(row.spans, window, y))];
  });
  const frames = windows.map(
    ({ x, scale, fromSec, toSec }) =>
      `<rect class="frame" x="${round(x)}" y="0" width="${round((toSec - fromSec) * scale)}" height="${rows.length * rowHeight}"/>`,
  );
  const gap =
    windows.length < 2
      ? ""
      : `<text x="${round((windows[1]!.x + left + (windows[0]!.toSec - windows[0]!.fromSec) * windows[0]!.scale) / 2)}" y="${round((rows.length * rowHeight) / 2)}" text-anchor="middle" dominant-baseline="central">···</text>`;
  const what = `Timeline of the step, ${formatSeconds(stepSec)}: ${rows.map((row) => row.name).join(", ")}`;
  return {
    svg: `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(what)}">${frames.join("")}${drawn.join("")}${gap}${windows.map((window) => ticks(window, rows.length * rowHeight)).join("")}</svg>`,
    endsSec,
  };
}

interface Row {
  readonly name: string;
  readonly spans: readonly TimelineSpan[];
}

function rowsOf({ ranks, streams, spans }: TimelineSpans): readonly Row[] {
  const withStreams = ranks.length <= mostWithStreams;
  const rows = new Map<string, TimelineSpan[]>();
  for (const span of spans) {
    if (!withStreams && span.streamIndex !== 0) continue;
    const key = `${span.rankIndex}:${span.streamIndex}`;
    const row = rows.get(key);
    if (row === undefined) rows.set(key, [span]);
    else row.push(span);
  }
  return ranks.flatMap((rank, rankIndex) =>
    streams.flatMap((stream, streamIndex) => {
      const own = rows.get(`${rankIndex}:${streamIndex}`);
      if (own === undefined) return [];
      return [{ name: streamIndex === 0 ? rank.name : stream, spans: own }];
    }),
  );
}

function windowsOf(
  rows: readonly Row[],
  stepSec: number,
): { readonly windows: readonly Window[]; readonly endsSec: number | null } {
  const room = width - left - 4;
  const actions = rows[0]?.spans.filter(({ streamIndex }) => streamIndex === 0) ?? [];
  const meanSec = actions.reduce((sum, { durationSec }) => sum + durationSec, 0) / Math.max(1, actions.length);
  const scale = room / stepSec;
  if (meanSec * scale >= goodPoints / 2)
    return { windows: [{ fromSec: 0, toSec: stepSec, x: left, scale }], endsSec: null };
  // What a device waits for slow ones at the end is no span.
  const lastSec = rows.reduce(
    (most, { spans }) => spans.reduce((last, each) => Math.max(last, each.startSec + each.durationSec), most),
    0,
  );
  const half = (room - gapPoints) / 2;
  // Blocks of a warm-up are as long as any; about so many fit side by side.
  const endsSec = Math.min(lastSec / 2, (half / (goodPoints * 3)) * meanSec);
  const fine = half / endsSec;
  return {
    windows: [
      { fromSec: 0, toSec: endsSec, x: left, scale: fine },
      { fromSec: lastSec - endsSec, toSec: lastSec, x: left + half + gapPoints, scale: fine },
    ],
    endsSec,
  };
}

/** Blocks of a row: one path for each category, so that thousands of them stay a small file. Neighbours closer than a tenth of a point are joined. */
function blocks(spans: readonly TimelineSpan[], window: Window, y: number): readonly string[] {
  const paths = new Map<string, string>();
  const ends = new Map<string, { from: number; to: number }>();
  const close = (category: string) => {
    const open = ends.get(category);
    if (open === undefined) return;
    // A hair of space keeps micro-batches apart.
    const wide = Math.max(0.3, open.to - open.from - (open.to - open.from > 3 ? 0.6 : 0));
    paths.set(
      category,
      `${paths.get(category) ?? ""}M${round(open.from)} ${y}h${round(wide)}v${blockHeight}h${round(-wide)}z`,
    );
    ends.delete(category);
  };
  const sorted = [...spans].sort((a, b) => a.startSec - b.startSec);
  for (const { category, startSec, durationSec } of sorted) {
    const fromSec = Math.max(startSec, window.fromSec);
    const toSec = Math.min(startSec + durationSec, window.toSec);
    if (toSec <= fromSec) continue;
    const from = window.x + (fromSec - window.fromSec) * window.scale;
    const to = window.x + (toSec - window.fromSec) * window.scale;
    const open = ends.get(category);
    const isThin = to - from < 3;
    if (open !== undefined && isThin && from - open.to < 0.1) open.to = to;
    else {
      close(category);
      ends.set(category, { from, to });
    }
  }
  for (const category of [...ends.keys()]) close(category);
  return [...paths].map(([category, d]) => `<path class="${pictureClass(category)}" d="${d}"/>`);
}

function ticks({ fromSec, toSec, x, scale }: Window, y: number): string {
  const wide = (toSec - fromSec) * scale;
  const count = wide > 600 ? 4 : 2;
  const marks = Array.from({ length: count + 1 }, (_, i) => {
    const sec = fromSec + ((toSec - fromSec) * i) / count;
    const at = round(x + (sec - fromSec) * scale);
    const anchor = i === 0 ? "start" : i === count ? "end" : "middle";
    return `<path class="axis" d="M${at} ${y}v4"/><text x="${at}" y="${y + 15}" text-anchor="${anchor}">${escaped(formatSeconds(sec))}</text>`;
  });
  return marks.join("");
}

/** Two decimals are finer than a screen. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}
