// How errors are spread: a bar for each 5 % of error, the outermost hold everything beyond.

import { useRef } from "preact/hooks";
import { useWidth } from "../design/useWidth.ts";
import { Plot, plotRanges } from "../plot/Plot.tsx";
import { linearScale } from "../plot/scale.ts";
import { histogram, type ScoredRow } from "./rows.ts";

const BIN_FRAC = 0.05;
const LIMIT_FRAC = 0.5;

export function Residuals({ rows }: { readonly rows: readonly ScoredRow[] }) {
  const ref = useRef<HTMLDivElement>(null);
  const width = useWidth(ref, 420);
  const height = 210;
  const bins = histogram(
    rows.map(({ error }) => error),
    BIN_FRAC,
    LIMIT_FRAC,
  );
  const most = Math.max(1, ...bins.map(({ count }) => count));
  const ranges = plotRanges(width, height, { left: 40, right: 12, top: 22, bottom: 36 });
  const x = linearScale({ domain: [-LIMIT_FRAC, LIMIT_FRAC], range: ranges.x, numTicks: 5 });
  const y = linearScale({ domain: [0, most], range: ranges.y, numTicks: 4 });
  const within = rows.filter(({ error }) => Math.abs(error) <= 0.1).length;
  return (
    <div ref={ref}>
      <Plot
        width={width}
        height={height}
        x={x}
        y={y}
        xTitle="predicted / measured - 1 (ends hold all beyond)"
        yTitle="runs"
        formatX={(value) => `${value > 0 ? "+" : ""}${Math.round(value * 100)} %`}
        formatY={String}
        label={`Histogram of errors: ${within} of ${rows.length} runs are within 10 %`}
      >
        {bins.map(({ from, to, count }) => (
          <rect
            key={from}
            class="bin"
            x={x.at(from) + 0.5}
            width={Math.max(1, x.at(to) - x.at(from) - 1)}
            y={y.at(count)}
            height={y.at(0) - y.at(count)}
          >
            <title>
              {Math.round(from * 100)} to {Math.round(to * 100)} %: {count} runs
            </title>
          </rect>
        ))}
        <line class="diagonal" x1={x.at(0)} x2={x.at(0)} y1={ranges.y[0]} y2={ranges.y[1]} />
      </Plot>
    </div>
  );
}
