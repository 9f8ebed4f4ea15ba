// Predicted against measured, both logarithmic, with the diagonal and bands of 10 % and 25 %. The point nearest to the pointer says what it is; a click
// picks it. Points are drawn from the largest group to the smallest, so that few are not hidden by many.

import { formatBytes, formatPercent, formatSeconds } from "@meshwright/core/units";
import { useMemo, useRef, useState } from "preact/hooks";
import { useWidth } from "../design/useWidth.ts";
import { Plot, plotRanges } from "../plot/Plot.tsx";
import { logDomain, logScale } from "../plot/scale.ts";
import type { Facet } from "./filter.ts";
import type { Quantity, ScoredRow } from "./rows.ts";

const NEAR_POINTS = 14;
/** Groups with a colour of their own; the rest is grey. */
const MOST_COLOURS = 7;

export interface ScatterProps {
  readonly rows: readonly ScoredRow[];
  readonly quantity: Quantity;
  readonly colourBy: Facet;
  /** Groups in the order of their colours: the same whatever the filter. */
  readonly groups: readonly string[];
  readonly picked: string | null;
  readonly onPick: (id: string | null) => void;
}

export function groupColour(groups: readonly string[], value: string): string {
  const at = groups.indexOf(value);
  return at < 0 || at >= MOST_COLOURS ? "var(--group-rest)" : `var(--group-${at + 1})`;
}

export function Scatter({ rows, quantity, colourBy, groups, picked, onPick }: ScatterProps) {
  const ref = useRef<HTMLDivElement>(null);
  const width = useWidth(ref, 640);
  const [near, setNear] = useState<{ readonly point: ScoredRow; readonly x: number; readonly y: number } | null>(null);
  const height = Math.round(Math.min(520, Math.max(280, width * 0.68)));
  const format = quantity === "step" ? formatSeconds : formatBytes;
  // Round ticks stay round: 200 s, not 3 min 20 s.
  const axisText =
    quantity === "step" ? (sec: number) => (sec >= 1 ? `${sec} s` : `${sec * 1000} ms`) : (gib: number) => `${gib} GiB`;
  const unit = quantity === "step" ? 1 : 2 ** 30;
  const domain = useMemo(
    () => logDomain(rows.flatMap(({ measured, predicted }) => [measured / unit, predicted / unit])),
    [rows, unit],
  );
  const ordered = useMemo(
    () => [...rows].sort((a, b) => groups.indexOf(a.row[colourBy]) - groups.indexOf(b.row[colourBy])),
    [rows, groups, colourBy],
  );
  if (domain === null) return <div ref={ref} />;
  const ranges = plotRanges(width, height);
  const x = logScale({ domain, range: ranges.x, numTicks: width / 110 });
  const y = logScale({ domain, range: ranges.y, numTicks: height / 70 });
  const at = ({ measured, predicted }: ScoredRow) => ({ x: x.at(measured / unit), y: y.at(predicted / unit) });
  const find = (pointer: { readonly x: number; readonly y: number }) => {
    let best: ScoredRow | null = null;
    let least = NEAR_POINTS ** 2;
    for (const each of ordered) {
      const point = at(each);
      const distance = (point.x - pointer.x) ** 2 + (point.y - pointer.y) ** 2;
      if (distance <= least) [best, least] = [each, distance];
    }
    setNear(best === null ? null : { point: best, ...pointer });
  };
  const shown = near?.point.row.id ?? picked;
  const marked = ordered.find(({ row }) => row.id === shown);
  return (
    <div ref={ref} style={{ position: "relative" }}>
      <Plot
        width={width}
        height={height}
        x={x}
        y={y}
        xTitle={quantity === "step" ? "measured step time" : "measured peak memory"}
        yTitle={quantity === "step" ? "predicted step time" : "predicted peak memory"}
        formatX={axisText}
        formatY={axisText}
        label={`Predicted against measured for ${rows.length} runs; the tables below hold the figures`}
        onPointerMove={find}
        onPointerLeave={() => setNear(null)}
        onClick={() => onPick(near === null || near.point.row.id === picked ? null : near.point.row.id)}
      >
        {[0.25, 0.1].map((error) => (
          <polygon key={error} class="band" points={bandPoints(domain, error, x.at, y.at, ranges)} />
        ))}
        <line class="diagonal" x1={x.at(domain[0])} y1={y.at(domain[0])} x2={x.at(domain[1])} y2={y.at(domain[1])} />
        {ordered.map((point) => (
          <circle
            key={point.row.id}
            cx={at(point).x}
            cy={at(point).y}
            r={2.8}
            style={{ fill: groupColour(groups, point.row[colourBy]) }}
            class={point.row.status === "does not fit" ? "point hollow" : "point"}
          />
        ))}
        {marked === undefined ? null : <circle class="marked" cx={at(marked).x} cy={at(marked).y} r={6} />}
      </Plot>
      {near === null ? null : (
        <div
          class="plot-tip"
          style={{ position: "absolute", left: `${Math.min(near.x + 12, width - 260)}px`, top: `${near.y + 12}px` }}
        >
          <strong>{near.point.row.model}</strong> on {near.point.row.numDevices} x {near.point.row.accelerator}
          <br />
          {near.point.row.framework}, {near.point.row.precision}
          <br />
          measured {format(near.point.measured)}, predicted {format(near.point.predicted)}:{" "}
          {signedPercent(near.point.error)}
        </div>
      )}
    </div>
  );
}

/** Of points whose error is at most `error`, cut at the frame. */
function bandPoints(
  [low, high]: readonly [number, number],
  error: number,
  x: (value: number) => number,
  y: (value: number) => number,
  { x: [left, right], y: [bottom, top] }: ReturnType<typeof plotRanges>,
): string {
  const cut = (px: number, py: number) =>
    `${Math.min(right, Math.max(left, px))},${Math.min(bottom, Math.max(top, py))}`;
  // Corners where a line of constant error leaves the square frame.
  return [
    [low, low * (1 + error)],
    [high / (1 + error), high],
    [high, high],
    [high, high * (1 - error)],
    [low / (1 - error), low],
    [low, low],
  ]
    .map(([measured = 0, predicted = 0]) => cut(x(measured), y(predicted)))
    .join(" ");
}

export function signedPercent(frac: number): string {
  return `${frac < 0 ? "-" : "+"}${formatPercent(Math.abs(frac))}`;
}
