// A pipeline schedule, step by step: what each rank runs, which micro-batch, and how many stashes it holds. Drawn from the schedule that the
// library lowers, not from a picture of it.

import { scheduleFamilies } from "@meshwright/core/parallel/schedules";
import { formatPercent } from "@meshwright/core/units";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useCommands } from "../../app/commands.ts";
import { findingsOf } from "../../app/errors.ts";
import { Card, Figures, Findings } from "../../design/Blocks.tsx";
import { Button } from "../../design/Button.tsx";
import { Select } from "../../design/Choice.tsx";
import { Field, NumberInput } from "../../design/Field.tsx";
import { Swatch } from "../Details.tsx";
import { cssCategory } from "../paint/categoryColour.ts";
import type { PlayerView } from "../view/pageView.ts";
import { type Played, playSchedule, stashesAt, stepped } from "./playback.ts";

const SPEEDS = ["0.5", "1", "2", "4", "8"] as const;

export function SchedulePlayer({
  view,
  onChange,
}: {
  readonly view: PlayerView;
  readonly onChange: (view: PlayerView) => void;
}) {
  const [at, setAt] = useState(0);
  const [isPlaying, setPlaying] = useState(false);
  const [speed, setSpeed] = useState<(typeof SPEEDS)[number]>("2");
  const first = useMemo(() => attempt(view, view.family), [view]);
  const second = useMemo(() => (view.beside === "" ? null : attempt(view, view.beside)), [view]);
  const shown = [first, second].filter((each) => each !== null);
  const played = shown.map((each) => each.played).filter((each) => each !== null);
  const makespan = Math.max(0, ...played.map((each) => each.makespan));
  const instants = useMemo(
    () => [...new Set(played.flatMap((each) => each.instants))].sort((a, b) => a - b),
    [first, second],
  );
  // What is played changes: from the start
  useEffect(() => {
    setAt(0);
    setPlaying(false);
  }, [view]);
  const now = useRef(at);
  now.current = at;
  // Runs from play to pause
  useEffect(() => {
    if (!isPlaying) return;
    let frame = 0;
    let before = -1;
    const step = (ms: number) => {
      if (before >= 0) {
        const next = Math.min(makespan, now.current + ((ms - before) / 1000) * Number(speed));
        setAt(next);
        if (next >= makespan) {
          setPlaying(false);
          return;
        }
      }
      before = ms;
      frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, speed, makespan]);
  const play = () => {
    if (at >= makespan) setAt(0);
    setPlaying(!isPlaying);
  };
  const step = (direction: 1 | -1) => {
    setPlaying(false);
    setAt(stepped(instants, now.current, direction));
  };
  useCommands(
    [
      { id: "player.play", group: "Player", title: "Play or pause", keys: "space", run: play },
      { id: "player.next", group: "Player", title: "One step on", keys: ".", run: () => step(1) },
      { id: "player.back", group: "Player", title: "One step back", keys: ",", run: () => step(-1) },
    ],
    `${isPlaying} ${at >= makespan} ${makespan} ${instants.length}`,
  );
  const families = scheduleFamilies.map(({ name, title }) => ({ value: name, label: name, help: title }));
  return (
    <div class="stack">
      <div class="tl-bar">
        <Field label="schedule">
          {(id) => (
            <Select
              id={id}
              value={view.family}
              options={families}
              onChange={(family) => onChange({ ...view, family })}
            />
          )}
        </Field>
        <Field label="beside it">
          {(id) => (
            <Select
              id={id}
              value={view.beside}
              options={[{ value: "", label: "nothing" }, ...families]}
              onChange={(beside) => onChange({ ...view, beside })}
            />
          )}
        </Field>
        {(
          [
            ["numRanks", "ranks", 16],
            ["numMicroBatches", "micro-batches", 64],
            ["numChunks", "chunks a rank", 8],
          ] as const
        ).map(([key, label, most]) => (
          <Field
            key={key}
            label={label}
            help={key === "numChunks" ? "Where the schedule allows a choice" : `1 to ${most}`}
          >
            {(id) => (
              <NumberInput
                id={id}
                min={1}
                value={view[key]}
                onCommit={(value) => onChange({ ...view, [key]: Math.min(most, Math.max(1, Math.round(value ?? 1))) })}
              />
            )}
          </Field>
        ))}
      </div>
      <div class="tl-bar">
        <Button kind="icon" label="To the start" onClick={() => setAt(0)}>
          |‹
        </Button>
        <Button kind="icon" label="One step back (,)" onClick={() => step(-1)}>
          ‹
        </Button>
        <Button kind="primary" label="Play or pause (space)" onClick={play} disabled={makespan === 0}>
          {isPlaying ? "Pause" : "Play"}
        </Button>
        <Button kind="icon" label="One step on (.)" onClick={() => step(1)}>
          ›
        </Button>
        <input
          class="range tl-seek"
          type="range"
          min={0}
          max={makespan}
          step="any"
          value={at}
          aria-label="Time"
          aria-valuetext={`${at.toFixed(1)} of ${makespan.toFixed(1)} units`}
          onInput={(event) => {
            setPlaying(false);
            setAt(Number(event.currentTarget.value));
          }}
        />
        <span class="tl-time">
          {at.toFixed(1)} <span class="dim">of {makespan.toFixed(1)}</span>
        </span>
        <span class="tl-speed">
          {" "}
          <Select
            label="Speed, units a second"
            value={speed}
            options={SPEEDS.map((value) => ({ value, label: `${value} units/s` }))}
            onChange={setSpeed}
          />
        </span>
        <ul class="legend">
          {(["forward", "backward", "weight gradient"] as const).map((category) => (
            <li key={category}>
              <Swatch category={category} />{" "}
              {category === "backward" ? "backward (input gradient where split)" : category}
            </li>
          ))}
        </ul>
      </div>
      {shown.map(({ family, played: schedule, error }, i) =>
        schedule === null ? (
          <Findings
            key={`${i}`}
            title={`${family} does not take these numbers`}
            findings={findingsOf(error) ?? [{ path: "", message: String(error) }]}
          />
        ) : (
          <Card
            key={`${i}`}
            title={
              <>
                {schedule.title} <span class="dim">{schedule.source}</span>
              </>
            }
            end={
              <Figures
                figures={[
                  {
                    name: "idle",
                    value: formatPercent(schedule.idleFrac),
                    help: "Of all ranks' time, from start to end",
                  },
                  {
                    name: "step",
                    value: `${schedule.makespan.toFixed(1)} units`,
                    help: "A unit is a rank's forward of one micro-batch",
                  },
                  {
                    name: "most stashes",
                    value: Math.max(...schedule.mostStashes),
                    help: "Chunks' activations that a rank holds at once",
                  },
                ]}
              />
            }
          >
            <ScheduleGrid played={schedule} at={at} makespan={makespan} />
            <Now played={schedule} at={at} />
          </Card>
        ),
      )}
      <p class="dim">
        Every forward takes one unit, input and weight gradients one each, messages none. Time between actions is the
        bubble; the timeline shows the job's own durations.
      </p>
    </div>
  );
}

function attempt(
  view: PlayerView,
  family: string,
): { readonly family: string; readonly played: Played | null; readonly error: unknown } {
  try {
    return { family, played: playSchedule({ ...view, family }), error: null };
  } catch (error) {
    return { family, played: null, error };
  }
}

const ROW = 26;
const LABEL = 46;
const WIDTH = 1000;
const STASH = 120;

function ScheduleGrid({
  played,
  at,
  makespan,
}: {
  readonly played: Played;
  readonly at: number;
  readonly makespan: number;
}) {
  const scale = (WIDTH - LABEL - STASH - 12) / Math.max(1, makespan);
  const height = played.numRanks * ROW + 4;
  const stashes = stashesAt(played, at);
  const most = Math.max(1, ...played.mostStashes);
  const unit = (STASH - 34) / most;
  return (
    <svg
      class="tl-grid"
      viewBox={`0 0 ${WIDTH} ${height}`}
      role="img"
      aria-label={`${played.title} at ${at.toFixed(1)} units`}
    >
      <title>{played.title}</title>
      {stashes.map((count, rank) => {
        const y = 2 + rank * ROW;
        const x = WIDTH - STASH;
        return (
          <g key={rank}>
            <text x={0} y={y + ROW / 2 + 3}>
              rank {rank}
            </text>
            <rect x={LABEL} y={y} width={makespan * scale} height={ROW - 3} class="idle" />
            <rect x={x} y={y + 5} width={unit * played.mostStashes[rank]!} height={ROW - 13} class="stash-room" />
            <rect x={x} y={y + 5} width={unit * count} height={ROW - 13} class="stash" />
            <text x={x + unit * most + 6} y={y + ROW / 2 + 3}>
              {count}
            </text>
          </g>
        );
      })}
      {played.actions.map(({ rank, name, category, start, end }) => {
        const y = 2 + rank * ROW;
        const state = end <= at ? "done" : start <= at ? "runs" : "waits";
        const width = (end - start) * scale;
        return (
          <g key={`${rank} ${name}`} class={`action ${state}`}>
            <rect
              style={{ fill: cssCategory(category) }}
              x={LABEL + start * scale}
              y={y}
              width={Math.max(0.5, width - 0.8)}
              height={ROW - 3}
              rx={1.5}
            />
            {width > 13 ? (
              <text x={LABEL + (start + end) * 0.5 * scale} y={y + ROW / 2 + 2} text-anchor="middle">
                {width > 8 * name.length ? name : name.replace(/^[FBW]+/, "")}
              </text>
            ) : null}
          </g>
        );
      })}
      <line x1={LABEL + at * scale} x2={LABEL + at * scale} y1={0} y2={height} class="playhead" />
    </svg>
  );
}

/** What each rank does now, in words: read aloud when the player is stepped. */
function Now({ played, at }: { readonly played: Played; readonly at: number }) {
  const stashes = stashesAt(played, at);
  return (
    <table class="table tl-now">
      <caption class="hidden-text">What each rank does now</caption>
      <thead>
        <tr>
          <th scope="col">
            <span>rank</span>
          </th>
          <th scope="col">
            <span>runs</span>
          </th>
          <th scope="col">
            <span>next</span>
          </th>
          <th scope="col" class="number">
            <span>stashes</span>
          </th>
          <th scope="col" class="number">
            <span>most</span>
          </th>
        </tr>
      </thead>
      <tbody>
        {stashes.map((count, rank) => {
          const own = played.actions.filter((action) => action.rank === rank);
          const runs = own.find(({ start, end }) => start <= at && at < end);
          const next = own.find(({ start }) => start > at);
          return (
            <tr key={rank}>
              <td>rank {rank}</td>
              <td>
                {runs === undefined ? (
                  <span class="dim">idle</span>
                ) : (
                  <>
                    <Swatch category={runs.category} /> {runs.name}
                  </>
                )}
              </td>
              <td>
                {next === undefined ? <span class="dim">-</span> : `${next.name} in ${(next.start - at).toFixed(1)}`}
              </td>
              <td class="number">{count}</td>
              <td class="number">{played.mostStashes[rank]}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
