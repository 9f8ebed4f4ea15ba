// A predicted step as an SVG: the waterfall above and the pipeline's timeline below, on the same time axis.

import { slowestRank, timeParts } from "../packages/core/src/report/index.ts";
import type { StepResult, TimelineSpans } from "../packages/core/src/simulate/index.ts";
import type { ResolvedSpec } from "../packages/core/src/spec/index.ts";
import { formatPercent, formatSeconds } from "../packages/core/src/units/index.ts";

const colours: Readonly<Record<string, string>> = {
  compute: "#2f9e6e",
  exposed_tp: "#e0a030",
  exposed_cp: "#d98c2b",
  exposed_ep: "#c97b2a",
  exposed_dp: "#b86b2c",
  exposed_pp: "#a65d30",
  exposed_copy: "#8f5536",
  host: "#8f6bb8",
  bubble: "#d0574f",
  optimizer: "#3a8fb7",
  straggler: "#a14a52",
  forward: "#4a90c2",
  backward: "#2f9e6e",
};

const width = 960;
const left = 190;
const right = 120;
const rowHeight = 20;

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = (x: number, y: number, content: string, style = "") =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${style}>${escaped(content)}</text>`;
const rect = (x: number, y: number, w: number, h: number, fill: string, title = "") =>
  `<rect x="${x.toFixed(2)}" y="${y.toFixed(1)}" width="${Math.max(0.4, w).toFixed(2)}" height="${h}" fill="${fill}">${title === "" ? "" : `<title>${escaped(title)}</title>`}</rect>`;

/** The result must hold a timeline. */
export function stepPicture(spec: ResolvedSpec, result: StepResult): string {
  const scale = (width - left - right) / result.stepSec;
  const parts: string[] = [
    text(
      16,
      26,
      `${spec.name}: ${formatSeconds(result.stepSec)} a step, ${formatPercent(result.mfuCausal)} MFU`,
      'font-size="15" font-weight="600"',
    ),
  ];
  let y = 44;
  let at = 0;
  const rank = slowestRank(result);
  for (const part of timeParts) {
    const seconds = part.seconds(rank);
    if (seconds <= 0) continue;
    parts.push(text(16, y + 14, part.name));
    parts.push(
      rect(
        left + at * scale,
        y + 3,
        seconds * scale,
        rowHeight - 6,
        colours[part.key]!,
        `${part.name}: ${formatSeconds(seconds)}`,
      ),
    );
    at += seconds;
    parts.push(
      text(
        left + at * scale + 6,
        y + 14,
        `${formatSeconds(seconds)}  ${formatPercent(seconds / result.stepSec)}`,
        'fill="#667"',
      ),
    );
    y += rowHeight;
  }
  y += 16;
  parts.push(text(16, y + 10, "Pipeline timeline: forward (blue), backward (green)", 'font-weight="600"'));
  y += 20;
  parts.push(...timelineRows(result.timeline!, { y, scale }));
  y += result.timeline!.ranks.length * rowHeight + 8;
  for (let tick = 0; tick <= 4; tick++) {
    const seconds = (result.stepSec * tick) / 4;
    parts.push(text(left + seconds * scale, y + 8, formatSeconds(seconds), 'fill="#667" text-anchor="middle"'));
  }
  const height = y + 20;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="#223">`,
    `<title>${escaped(spec.name)}: predicted step</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="#fbfbf8"/>`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
}

function timelineRows(timeline: TimelineSpans, at: { readonly y: number; readonly scale: number }): string[] {
  const rows = timeline.ranks.map((rank, i) => text(16, at.y + i * rowHeight + 14, rank.name));
  for (const span of timeline.spans) {
    if (span.category !== "forward" && span.category !== "backward") continue;
    const y = at.y + span.rankIndex * rowHeight + 3;
    // A hair of space between neighbours keeps micro-batches apart.
    rows.push(
      rect(
        left + span.startSec * at.scale,
        y,
        span.durationSec * at.scale - 0.5,
        rowHeight - 6,
        colours[span.category]!,
        `${span.name}: ${formatSeconds(span.durationSec)}`,
      ),
    );
  }
  return rows;
}
