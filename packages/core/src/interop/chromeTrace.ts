// Writes a timeline in the Trace Event Format, which Perfetto and chrome://tracing open: a process per rank, a thread per stream, complete
// slices (`X`), flow arrows (`s` to `f`) for sends, stacked counters (`C`) for memory, and a thread that says what each instant was charged to. Times
// are microseconds, to the nanosecond.
//
// Source: "Trace Event Format" (Google, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU). Flow ends sit inside the
// slices they join, which the format demands. Text comes in pieces, one event each, so that a large trace never is one string.

import type { TimelineCharges, TimelineMemory, TimelineSend, TimelineSpan, TimelineSpans } from "../simulate/spans.ts";
import { assert } from "../units/errors.ts";

/** Pieces of one JSON document, in order. */
export function* chromeTrace(timeline: TimelineSpans): Generator<string> {
  yield `{"displayTimeUnit":"ms","otherData":${JSON.stringify({ title: timeline.title, format: "meshwright.trace", version: 1 })},"traceEvents":[\n`;
  let first = true;
  for (const event of traceEvents(timeline)) {
    yield first ? JSON.stringify(event) : `,\n${JSON.stringify(event)}`;
    first = false;
  }
  yield "\n]}\n";
}

type TraceEvent = Readonly<Record<string, unknown>>;

function* traceEvents(timeline: TimelineSpans): Generator<TraceEvent> {
  for (const [index, { rank, name }] of timeline.ranks.entries()) {
    yield { ph: "M", pid: rank, name: "process_name", args: { name } };
    yield { ph: "M", pid: rank, name: "process_sort_index", args: { sort_index: index } };
    for (const [streamIndex, stream] of timeline.streams.entries()) {
      if (!timeline.spans.some((span) => span.rankIndex === index && span.streamIndex === streamIndex)) continue;
      yield { ph: "M", pid: rank, tid: streamIndex, name: "thread_name", args: { name: stream } };
      yield { ph: "M", pid: rank, tid: streamIndex, name: "thread_sort_index", args: { sort_index: streamIndex } };
    }
  }
  for (const span of timeline.spans) yield slice(timeline, span);
  for (const [id, send] of timeline.sends.entries()) yield* flow(timeline, send, id);
  for (const memory of timeline.memory) yield* counters(timeline, memory);
  for (const charges of timeline.charges ?? []) yield* chargeSlices(timeline, charges);
}

function slice(timeline: TimelineSpans, span: TimelineSpan): TraceEvent {
  assert(
    span.durationSec >= 0 && span.startSec >= 0,
    `span "${span.name}" runs forward in time: ${span.startSec} + ${span.durationSec} s`,
  );
  const event = {
    ph: "X",
    pid: timeline.ranks[span.rankIndex]!.rank,
    tid: span.streamIndex,
    ts: micros(span.startSec),
    // End minus start, both rounded: neighbours that touch still touch.
    dur: round(micros(span.startSec + span.durationSec) - micros(span.startSec)),
    name: span.name,
    cat: span.category,
  };
  if (span.critical === true) return { ...event, args: { ...span.args, critical: 1 } };
  return span.args === undefined ? event : { ...event, args: span.args };
}

/** Their thread follows those of the streams. */
function* chargeSlices(timeline: TimelineSpans, charges: TimelineCharges): Generator<TraceEvent> {
  const { startSec, part, endSec, rankIndex } = charges;
  const names = timeline.chargeNames ?? [];
  const { rank } = timeline.ranks[rankIndex]!;
  const tid = timeline.streams.length;
  yield { ph: "M", pid: rank, tid, name: "thread_name", args: { name: "charged to" } };
  yield { ph: "M", pid: rank, tid, name: "thread_sort_index", args: { sort_index: tid } };
  for (let i = 0; i < part.length; i++) {
    const name = names[part[i]!];
    assert(name !== undefined, `charge ${part[i]} has a name among ${names.length}`);
    const ts = micros(startSec[i]!);
    yield { ph: "X", pid: rank, tid, ts, dur: round(micros(startSec[i + 1] ?? endSec) - ts), name, cat: "charge" };
  }
}

/** Leaves in the middle of the sending slice and arrives in the middle of the receiving one, or at its very start when that is earlier. */
function* flow(timeline: TimelineSpans, send: TimelineSend, id: number): Generator<TraceEvent> {
  const from = timeline.spans[send.fromSpan];
  const to = timeline.spans[send.toSpan];
  assert(
    from !== undefined && to !== undefined,
    `send "${send.name}" joins spans ${send.fromSpan} and ${send.toSpan} of ${timeline.spans.length}`,
  );
  const base = { cat: "send", name: send.name, id };
  const left = micros(from.startSec + from.durationSec / 2);
  const arrives = Math.max(micros(to.startSec), Math.min(left, micros(to.startSec + to.durationSec)));
  yield { ...base, ph: "s", pid: timeline.ranks[from.rankIndex]!.rank, tid: from.streamIndex, ts: left };
  yield { ...base, ph: "f", bp: "e", pid: timeline.ranks[to.rankIndex]!.rank, tid: to.streamIndex, ts: arrives };
}

function* counters(timeline: TimelineSpans, memory: TimelineMemory): Generator<TraceEvent> {
  const pid = timeline.ranks[memory.rankIndex]!.rank;
  const names = Object.keys(memory.parts);
  for (let i = 0; i < memory.timeSec.length; i++) {
    const args: Record<string, number> = {};
    for (const name of names) args[name] = memory.parts[name]![i]!;
    yield { ph: "C", pid, name: "memory (bytes)", ts: micros(memory.timeSec[i]!), args };
  }
}

function micros(sec: number): number {
  return round(sec * 1e6);
}

function round(us: number): number {
  return Math.round(us * 1000) / 1000;
}
