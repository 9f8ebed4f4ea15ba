// A plot as SVG: axes, grid, titles, and whatever is drawn in it. Its width is in points, so that text keeps its size on narrow screens. What it
// shows stands in a table beside it: the picture itself is one image to a screen reader, with a sentence.

import type { ComponentChildren } from "preact";
import type { Scale } from "./scale.ts";

export interface PlotFrame {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export const plotMargin: PlotFrame = { left: 56, right: 12, top: 22, bottom: 36 };

export function Plot(props: {
  readonly width: number;
  readonly height: number;
  readonly x: Scale;
  readonly y: Scale;
  readonly xTitle: string;
  readonly yTitle: string;
  readonly formatX: (value: number) => string;
  readonly formatY: (value: number) => string;
  /** The picture in a sentence. */
  readonly label: string;
  readonly children: ComponentChildren;
  readonly onPointerMove?: (at: { readonly x: number; readonly y: number }) => void;
  readonly onPointerLeave?: () => void;
  readonly onClick?: () => void;
}) {
  const { width, height, x, y } = props;
  const [left, right] = x.range;
  const [bottom, top] = y.range;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: what a click picks, the keyboard picks in the table beside the plot
    <svg
      class="plot"
      width={width}
      height={height}
      viewBox={`0 0 ${width} ${height}`}
      role="img"
      aria-label={props.label}
      onPointerMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect();
        props.onPointerMove?.({ x: event.clientX - box.left, y: event.clientY - box.top });
      }}
      onPointerLeave={props.onPointerLeave}
      onClick={props.onClick}
    >
      {x.ticks.map((tick) => (
        <g key={`x${tick}`}>
          <line class="grid" x1={x.at(tick)} x2={x.at(tick)} y1={top} y2={bottom} />
          <text x={x.at(tick)} y={bottom + 14} text-anchor="middle">
            {props.formatX(tick)}
          </text>
        </g>
      ))}
      {y.ticks.map((tick) => (
        <g key={`y${tick}`}>
          <line class="grid" x1={left} x2={right} y1={y.at(tick)} y2={y.at(tick)} />
          <text x={left - 6} y={y.at(tick)} text-anchor="end" dominant-baseline="central">
            {props.formatY(tick)}
          </text>
        </g>
      ))}
      <line class="axis" x1={left} x2={right} y1={bottom} y2={bottom} />
      <line class="axis" x1={left} x2={left} y1={top} y2={bottom} />
      <text class="title" x={right} y={height - 4} text-anchor="end">
        {props.xTitle}
      </text>
      <text class="title" x={left - 6} y={top - 9}>
        {props.yTitle}
      </text>
      {props.children}
    </svg>
  );
}

/** Ranges of the axes inside the margins. */
export function plotRanges(
  width: number,
  height: number,
  margin: PlotFrame = plotMargin,
): { readonly x: readonly [number, number]; readonly y: readonly [number, number] } {
  return { x: [margin.left, width - margin.right], y: [height - margin.bottom, margin.top] };
}
