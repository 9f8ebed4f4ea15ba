// How the job scales over its number of devices: throughput against the ideal line, logarithmic, beside a table of the same points.

import { formatCount, formatPercent, formatSeconds, grouped } from "@meshwright/core/units";
import { useRef, useState } from "preact/hooks";
import { Button } from "../design/Button.tsx";
import { Segments } from "../design/Choice.tsx";
import { type Column, DataTable } from "../design/DataTable.tsx";
import { useWidth } from "../design/useWidth.ts";
import { Plot, plotRanges } from "../plot/Plot.tsx";
import { logDomain, logScale } from "../plot/scale.ts";
import type { Scaling, ScalingPoint } from "./tasks.ts";

type How = "weak" | "strong";

const columns = (copy: (point: ScalingPoint) => void): readonly Column<ScalingPoint>[] => [
  { id: "devices", title: "devices", align: "right", cell: ({ numDevices }) => grouped(numDevices) },
  { id: "batch", title: "batch", align: "right", cell: ({ globalBatch }) => grouped(globalBatch) },
  { id: "step", title: "step", align: "right", cell: ({ stepSec }) => formatSeconds(stepSec) },
  { id: "tokens", title: "tokens/s", align: "right", cell: ({ tokensPerSec }) => formatCount(tokensPerSec) },
  {
    id: "efficiency",
    title: "efficiency",
    help: "Tokens per second and device, over those of the smallest size",
    align: "right",
    cell: ({ efficiencyFrac }) => formatPercent(efficiencyFrac),
  },
  {
    id: "copy",
    title: <span class="hidden-text">command</span>,
    cell: (point) => (
      <Button kind="quiet" label={`Copy the command for ${point.numDevices} devices`} onClick={() => copy(point)}>
        Copy
      </Button>
    ),
  },
];

export function ScalingPlot({
  scaling,
  copy,
}: {
  readonly scaling: Scaling;
  readonly copy: (point: ScalingPoint) => void;
}) {
  const [how, setHow] = useState<How>("weak");
  const ref = useRef<HTMLDivElement>(null);
  const width = useWidth(ref, 460);
  const points = scaling[how];
  const [first] = points;
  const domainX = logDomain(
    points.map(({ numDevices }) => numDevices),
    1.15,
  );
  const domainY = logDomain(
    points.map(({ tokensPerSec }) => tokensPerSec),
    1.3,
  );
  const height = 250;
  const ranges = plotRanges(width, height);
  return (
    <div class="stack">
      <div>
        <Segments<How>
          label="Scaling"
          value={how}
          options={[
            { value: "weak", label: "Batch grows", help: "Weak scaling: every copy keeps its sequences" },
            {
              value: "strong",
              label: "Same batch",
              help: "Strong scaling: the sequences of a step are shared by more copies",
            },
          ]}
          onChange={setHow}
        />
      </div>
      {scaling.reason !== null ? <p class="dim">{scaling.reason}.</p> : null}
      <div ref={ref}>
        {first === undefined || domainX === null || domainY === null || points.length < 2 ? (
          <p class="dim">No other number of copies divides.</p>
        ) : (
          <Curve points={points} first={first} at={{ width, height, ranges, domainX, domainY }} how={how} />
        )}
      </div>
      <DataTable
        rows={points}
        columns={columns(copy)}
        rowKey={({ numDevices }) => String(numDevices)}
        caption={how === "weak" ? "Scaling with a batch that grows" : "Scaling with the same batch"}
      />
    </div>
  );
}

function Curve({
  points,
  first,
  at,
  how,
}: {
  readonly points: readonly ScalingPoint[];
  readonly first: ScalingPoint;
  readonly how: How;
  readonly at: {
    readonly width: number;
    readonly height: number;
    readonly ranges: ReturnType<typeof plotRanges>;
    readonly domainX: readonly [number, number];
    readonly domainY: readonly [number, number];
  };
}) {
  const { width, height, ranges, domainX, domainY } = at;
  const ideal = (numDevices: number) => (first.tokensPerSec / first.numDevices) * numDevices;
  const last = points.at(-1) ?? first;
  const x = logScale({ domain: domainX, range: ranges.x, numTicks: width / 90 });
  const y = logScale({
    domain: [domainY[0], Math.max(domainY[1], ideal(last.numDevices) * 1.05)],
    range: ranges.y,
    numTicks: 4,
  });
  const path = points
    .map((point, i) => `${i === 0 ? "M" : "L"}${x.at(point.numDevices)} ${y.at(point.tokensPerSec)}`)
    .join("");
  return (
    <Plot
      width={width}
      height={height}
      x={x}
      y={y}
      xTitle="devices"
      yTitle="tokens/s"
      formatX={grouped}
      formatY={formatCount}
      label={`${how === "weak" ? "Weak" : "Strong"} scaling from ${first.numDevices} to ${last.numDevices} devices: efficiency ${formatPercent(last.efficiencyFrac)} at the end`}
    >
      <line
        class="ideal"
        x1={x.at(first.numDevices)}
        y1={y.at(first.tokensPerSec)}
        x2={x.at(last.numDevices)}
        y2={y.at(ideal(last.numDevices))}
      />
      <path class="curve" d={path} />
      {points.map(({ numDevices, tokensPerSec }) => (
        <circle key={numDevices} class="dot" cx={x.at(numDevices)} cy={y.at(tokensPerSec)} r={3} />
      ))}
    </Plot>
  );
}
