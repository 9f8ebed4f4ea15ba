// What is worth giving up for what: throughput against memory headroom, cost or MFU. A dot is a row of the table; the line joins those that no other
// row beats in both. Of what the search met, not of all that exists.

import { formatCount, formatPercent, formatUsd } from "@meshwright/core/units";
import { useRef } from "preact/hooks";
import type { PlanRow } from "../compute/planRow.ts";
import { Card, Empty } from "../design/Blocks.tsx";
import { Button } from "../design/Button.tsx";
import { Segments } from "../design/Choice.tsx";
import { savePng, saveSvg } from "../design/savePicture.ts";
import { useWidth } from "../design/useWidth.ts";
import { roundAxis } from "../plot/scale.ts";
import type { PlanView, PlotAxis } from "./planView.ts";

interface Axis {
  readonly title: string;
  readonly value: (row: PlanRow) => number;
  readonly format: (value: number) => string;
  /** Which way is better. */
  readonly better: "more" | "less";
}

const axes: Readonly<Record<PlotAxis, Axis>> = {
  // In GiB, so that marks are round.
  headroom: {
    title: "free memory of the fullest device",
    value: (row) => (row.capacityBytes - row.peakBytes) / 2 ** 30,
    format: (gib) => `${Number(gib.toPrecision(3))} GiB`,
    better: "more",
  },
  cost: {
    title: "dollars per billion tokens",
    value: (row) => row.usdPerBillionTokens ?? Number.NaN,
    format: formatUsd,
    better: "less",
  },
  mfu: { title: "MFU", value: (row) => row.mfuCausal, format: formatPercent, better: "more" },
};

const HEIGHT = 250;
const MARGIN = { left: 70, right: 18, top: 12, bottom: 34 };

export function ParetoPlot(props: {
  readonly rows: readonly PlanRow[];
  readonly chosen: string | null;
  readonly onPick: (row: PlanRow) => void;
  readonly view: PlanView;
  readonly setView: (view: PlanView) => void;
}) {
  const { rows, chosen, onPick, view, setView } = props;
  const axis = axes[view.plot];
  const frame = useRef<HTMLDivElement>(null);
  const width = useWidth(frame, 720);
  const shown = rows.filter((row) => Number.isFinite(axis.value(row)));
  const picture = () => frame.current?.querySelector("svg") ?? null;
  return (
    <Card
      title={`Throughput against ${axis.title}`}
      flush
      end={
        <>
          <Segments
            label="Vertical axis"
            value={view.plot}
            onChange={(plot) => setView({ ...view, plot })}
            options={[
              { value: "headroom", label: "Headroom" },
              { value: "cost", label: "Cost" },
              { value: "mfu", label: "MFU" },
            ]}
          />
          <Button kind="quiet" label="Save the picture as SVG" onClick={() => saveSvg(picture(), "strategies.svg")}>
            SVG
          </Button>
          <Button
            kind="quiet"
            label="Save the picture as PNG"
            onClick={() => void savePng(picture(), "strategies.png")}
          >
            PNG
          </Button>
        </>
      }
    >
      <div ref={frame} class="plot-frame">
        {shown.length === 0 ? (
          <Empty
            title={
              rows.length === 0 ? "Nothing to draw yet" : "The cluster has no price: set dollars per device and hour"
            }
          />
        ) : (
          <Dots rows={shown} axis={axis} width={width} chosen={chosen} onPick={onPick} />
        )}
      </div>
    </Card>
  );
}

function Dots(props: {
  readonly rows: readonly PlanRow[];
  readonly axis: Axis;
  readonly width: number;
  readonly chosen: string | null;
  readonly onPick: (row: PlanRow) => void;
}) {
  const { rows, axis, width, chosen, onPick } = props;
  const xs = roundAxis(extent(rows.map((row) => row.tokensPerSec)), Math.max(3, Math.floor(width / 110)));
  const ys = roundAxis(extent(rows.map(axis.value)), 5);
  const x = (value: number) =>
    MARGIN.left + ((value - xs.from) / (xs.to - xs.from)) * (width - MARGIN.left - MARGIN.right);
  const y = (value: number) =>
    HEIGHT - MARGIN.bottom - ((value - ys.from) / (ys.to - ys.from)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const front = frontOf(rows, axis);
  const inFront = new Set(front.map(({ key }) => key));
  return (
    <svg
      width={width}
      height={HEIGHT}
      viewBox={`0 0 ${width} ${HEIGHT}`}
      role="img"
      aria-label={`${rows.length} strategies by tokens per second and ${axis.title}; the table above lists them`}
    >
      {ys.ticks.map((tick) => (
        <g key={tick}>
          <line x1={MARGIN.left} x2={width - MARGIN.right} y1={y(tick)} y2={y(tick)} stroke="var(--line)" />
          <text x={MARGIN.left - 6} y={y(tick) + 4} text-anchor="end">
            {axis.format(tick)}
          </text>
        </g>
      ))}
      {xs.ticks.map((tick) => (
        <text key={tick} x={x(tick)} y={HEIGHT - 18} text-anchor="middle">
          {formatCount(tick)}
        </text>
      ))}
      <text x={width - MARGIN.right} y={HEIGHT - 4} text-anchor="end">
        tokens/s
      </text>
      <polyline
        points={front.map((row) => `${x(row.tokensPerSec)},${y(axis.value(row))}`).join(" ")}
        fill="none"
        stroke="var(--accent)"
        stroke-width="1"
        stroke-dasharray="4 3"
      />
      {rows.map((row) => (
        // biome-ignore lint/a11y/noStaticElementInteractions: the table offers the same choice to the keyboard
        <circle
          key={row.key}
          cx={x(row.tokensPerSec)}
          cy={y(axis.value(row))}
          r={row.key === chosen ? 6 : 4.5}
          fill={row.rule !== null ? "var(--surface)" : inFront.has(row.key) ? "var(--accent)" : "var(--text-dim)"}
          stroke={row.key === chosen ? "var(--text)" : row.rule !== null ? "var(--text-dim)" : "var(--surface)"}
          stroke-width={row.key === chosen ? 2 : 1.2}
          style={{ cursor: "pointer" }}
          onClick={() => onPick(row)}
        >
          <title>{`${row.layout}\n${formatCount(row.tokensPerSec)} tokens/s, ${axis.format(axis.value(row))}${row.rule === null ? "" : `\n${row.rule}`}`}</title>
        </circle>
      ))}
    </svg>
  );
}

/** Rows that no other matches or beats in both, by throughput. */
export function frontOf(rows: readonly PlanRow[], axis: Pick<Axis, "value" | "better">): PlanRow[] {
  const good = (row: PlanRow) => (axis.better === "more" ? axis.value(row) : -axis.value(row));
  const sorted = [...rows].sort((a, b) => b.tokensPerSec - a.tokensPerSec || good(b) - good(a));
  const front: PlanRow[] = [];
  let best = Number.NEGATIVE_INFINITY;
  for (const row of sorted) {
    if (good(row) <= best) continue;
    best = good(row);
    front.push(row);
  }
  return front;
}

function extent(values: readonly number[]): { from: number; to: number } {
  return { from: Math.min(...values), to: Math.max(...values) };
}
