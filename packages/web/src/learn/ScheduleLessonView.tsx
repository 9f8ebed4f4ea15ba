// The lesson about pipelines: two schedules of the same numbers side by side, each drawn from its own actions, with its bubble against the paper's form and
// the micro-batches that a device keeps.

import { formatPercent } from "@meshwright/core/units";
import { useRef } from "preact/hooks";
import { findingsOf } from "../app/errors.ts";
import { useTask } from "../compute/client.ts";
import { Card, Findings } from "../design/Blocks.tsx";
import { Segments, Select } from "../design/Choice.tsx";
import { useWidth } from "../design/useWidth.ts";
import type { ScheduleFacts, ScheduleName } from "./tasks.ts";
import { chunkCounts, microBatchCounts, rankCounts, type ScheduleView } from "./view.ts";

export function ScheduleLessonView({
  view,
  onChange,
}: {
  readonly view: ScheduleView;
  readonly onChange: (next: ScheduleView) => void;
}) {
  const { value: names = [] } = useTask("learnSchedules", {});
  const dial = (label: string, key: "numRanks" | "numMicroBatches" | "numChunks", counts: readonly number[]) => (
    <div class="filter">
      <span>{label}</span>
      <Segments
        label={label}
        value={String(view[key])}
        options={counts.map((count) => ({ value: String(count), label: String(count) }))}
        onChange={(next) => onChange({ ...view, [key]: Number(next) })}
      />
    </div>
  );
  return (
    <>
      <div class="row schedule-dials">
        {dial("Devices", "numRanks", rankCounts)}
        {dial("Micro-batches", "numMicroBatches", microBatchCounts)}
        {dial("Chunks, where there is a choice", "numChunks", chunkCounts)}
      </div>
      {view.names.map((name, i) => (
        <OneSchedule
          key={i}
          name={name}
          place={i === 0 ? "First schedule" : "Second schedule"}
          names={names}
          view={view}
          onPick={(next) => onChange({ ...view, names: view.names.map((each, j) => (i === j ? next : each)) })}
        />
      ))}
      <ul class="legend">
        {(["F", "B", "W"] as const).map((kind) => (
          <li key={kind}>
            <span class="swatch" style={{ background: colourOf(kind) }} />
            {kindNames[kind]}
          </li>
        ))}
        <li class="dim">F = B = W, sends free; numbers are micro-batches; a lighter edge marks a later chunk</li>
      </ul>
    </>
  );
}

const kindNames = { F: "forward", B: "backward of inputs (whole where it is twice as long)", W: "backward of weights" };

function colourOf(kind: string): string {
  if (kind === "F") return "color-mix(in srgb, var(--time-compute) 55%, var(--surface))";
  return kind === "W" ? "color-mix(in srgb, var(--time-compute) 62%, var(--text))" : "var(--time-compute)";
}

function OneSchedule(props: {
  readonly name: string;
  readonly place: string;
  readonly names: readonly ScheduleName[];
  readonly view: ScheduleView;
  readonly onPick: (name: string) => void;
}) {
  const { name, place, names, view, onPick } = props;
  const { numRanks, numMicroBatches, numChunks } = view;
  const { value, error } = useTask("learnSchedule", { name, numRanks, numMicroBatches, numChunks });
  const findings = findingsOf(error);
  if (error !== undefined && findings === null) throw error;
  return (
    <Card
      title={
        <Select
          label={place}
          value={name}
          options={
            names.some((each) => each.name === name)
              ? names.map((each) => ({ value: each.name, label: `${each.title} (${each.name})` }))
              : [{ value: name, label: name }]
          }
          onChange={onPick}
        />
      }
      end={value === undefined ? null : <span class="dim">{value.source}</span>}
    >
      {findings !== null ? (
        <Findings title="This schedule does not take these numbers" findings={findings} />
      ) : value === undefined ? (
        <p class="dim">Building…</p>
      ) : (
        <div class="stack">
          <Picture facts={value} />
          <Words facts={value} />
        </div>
      )}
    </Card>
  );
}

const ROW = 22;

function Picture({ facts }: { readonly facts: ScheduleFacts }) {
  const ref = useRef<HTMLDivElement>(null);
  const width = useWidth(ref, 800);
  const left = 54;
  const scale = (width - left - 4) / facts.makespan;
  const height = facts.numRanks * ROW;
  return (
    <div ref={ref}>
      <svg
        width={width}
        height={height}
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={`${facts.title}: ${facts.numRanks} devices, bubble ${formatPercent(facts.bubbleFrac)} of the busy time`}
      >
        {Array.from({ length: facts.numRanks }, (_, rank) => (
          <g key={rank}>
            <text x={0} y={rank * ROW + ROW / 2} dominant-baseline="central">
              device {rank}
            </text>
            <rect x={left} y={rank * ROW + 2} width={width - left - 4} height={ROW - 4} class="idle" />
          </g>
        ))}
        {facts.blocks.map(({ rank, kind, chunk, microBatch, start, end }) => {
          const wide = (end - start) * scale;
          return (
            <g key={`${rank} ${kind} ${chunk} ${microBatch}`}>
              <rect
                x={left + start * scale}
                y={rank * ROW + 2}
                width={Math.max(0.5, wide - 1)}
                height={ROW - 4}
                style={{ fill: colourOf(kind) }}
                stroke={chunk > 0 ? "var(--surface)" : undefined}
                stroke-width={chunk > 0 ? 2 : undefined}
                stroke-opacity={0.45}
              />
              {wide < 13 ? null : (
                <text
                  class={kind === "F" ? "onblock light" : "onblock"}
                  x={left + start * scale + wide / 2 - 0.5}
                  y={rank * ROW + ROW / 2 + 0.5}
                  text-anchor="middle"
                  dominant-baseline="central"
                >
                  {microBatch}
                </text>
              )}
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function Words({ facts }: { readonly facts: ScheduleFacts }) {
  const most = Math.max(...facts.stash);
  return (
    <dl class="figures">
      {(
        [
          ["bubble over busy time", formatPercent(facts.bubbleFrac)],
          ["the paper's form says", facts.closedFormFrac === null ? "no form" : formatPercent(facts.closedFormFrac)],
          ["length, in forwards", facts.makespan.toFixed(1)],
          ["micro-batches kept", `${Math.min(...facts.stash).toFixed(1)} to ${most.toFixed(1)}`],
          ["copies of the parameters", String(facts.copies)],
          ["chunks", String(facts.numChunks)],
        ] as const
      ).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
