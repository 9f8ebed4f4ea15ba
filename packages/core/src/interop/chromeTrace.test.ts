import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TimelineSpans } from "../simulate/spans.ts";
import { chromeTrace } from "./chromeTrace.ts";

interface Event {
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly name: string;
  readonly id: number;
  readonly args: Record<string, number>;
}

function eventsOf(timeline: TimelineSpans): Event[] {
  return (JSON.parse([...chromeTrace(timeline)].join("")) as { traceEvents: Event[] }).traceEvents;
}

const pair: TimelineSpans = {
  title: "two ranks",
  ranks: [
    { rank: 0, name: "stage 0" },
    { rank: 8, name: "stage 1" },
  ],
  streams: ["compute", "tp", "pp"],
  spans: [
    { rankIndex: 0, streamIndex: 0, name: "F0", category: "forward", startSec: 0, durationSec: 1e-3 },
    {
      rankIndex: 1,
      streamIndex: 0,
      name: "F0",
      category: "forward",
      startSec: 1.2e-3,
      durationSec: 1e-3,
      args: { layer: 3 },
    },
  ],
  sends: [{ fromSpan: 0, toSpan: 1, name: "hidden states" }],
  memory: [{ rankIndex: 1, timeSec: [0, 2e-3], parts: { parameters: [100, 100], activations: [0, 50] } }],
};

/** Spans laid end to end on random streams, with sends from earlier to later spans. */
const timelines = fc
  .array(
    fc.record({
      rankIndex: fc.nat(3),
      streamIndex: fc.nat(2),
      gap: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: 2, maxLength: 40 },
  )
  .map((pieces): TimelineSpans => {
    const end = new Map<string, number>();
    const spans = pieces.map(({ rankIndex, streamIndex, gap, length }, i) => {
      const key = `${rankIndex}/${streamIndex}`;
      const startSec = (end.get(key) ?? 0) + (i % 3 === 0 ? 0 : gap);
      end.set(key, startSec + length);
      return { rankIndex, streamIndex, name: `s${i}`, category: "forward", startSec, durationSec: length };
    });
    return {
      title: "random",
      ranks: [0, 1, 2, 3].map((rank) => ({ rank, name: `rank ${rank}` })),
      streams: ["a", "b", "c"],
      spans,
      sends: [{ fromSpan: 0, toSpan: spans.length - 1, name: "x" }],
      memory: [],
    };
  });

describe("chromeTrace()", () => {
  it("names a process per rank and a thread per stream in use", () => {
    const meta = eventsOf(pair).filter((event) => event.ph === "M");
    expect(
      meta.filter((event) => event.name === "process_name").map((event) => [event.pid, event.args["name"]]),
    ).toEqual([
      [0, "stage 0"],
      [8, "stage 1"],
    ]);
    expect(meta.filter((event) => event.name === "thread_name")).toHaveLength(2);
  });

  it("writes times in microseconds and keeps arguments", () => {
    expect(
      eventsOf(pair)
        .filter((event) => event.ph === "X")
        .map(({ ts, dur, args }) => ({ ts, dur, args })),
    ).toEqual([
      { ts: 0, dur: 1000, args: undefined },
      { ts: 1200, dur: 1000, args: { layer: 3 } },
    ]);
  });

  it("counts memory by part", () => {
    expect(
      eventsOf(pair)
        .filter((event) => event.ph === "C")
        .map(({ pid, ts, args }) => [pid, ts, args]),
    ).toEqual([
      [8, 0, { parameters: 100, activations: 0 }],
      [8, 2000, { parameters: 100, activations: 50 }],
    ]);
  });

  it("puts both ends of an arrow inside the slices they join, and pairs them by id", () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const events = eventsOf(timeline);
        for (const flow of events.filter((event) => event.ph === "s" || event.ph === "f")) {
          expect(events.filter((event) => event.id === flow.id && (event.ph === "s" || event.ph === "f"))).toHaveLength(
            2,
          );
          const holds = (event: Event) =>
            event.ph === "X" &&
            event.pid === flow.pid &&
            event.tid === flow.tid &&
            event.ts <= flow.ts &&
            flow.ts <= event.ts + event.dur + 1e-9;
          expect(events.some(holds)).toBe(true);
        }
      }),
    );
  });

  it("never lets slices of one thread overlap in part", () => {
    fc.assert(
      fc.property(timelines, (timeline) => {
        const ends = new Map<string, number>();
        for (const event of eventsOf(timeline).filter((each) => each.ph === "X")) {
          const key = `${event.pid}/${event.tid}`;
          expect(event.ts).toBeGreaterThanOrEqual((ends.get(key) ?? 0) - 1e-6);
          ends.set(key, event.ts + event.dur);
        }
      }),
    );
  });
});

it("writes charges as a thread of their own, and says which slices the step hangs on", () => {
  const events = eventsOf({
    ...pair,
    spans: [{ ...pair.spans[0]!, critical: true }, pair.spans[1]!],
    chargeNames: ["compute", "bubble"],
    charges: [{ rankIndex: 1, startSec: Float64Array.of(0, 1.2e-3), part: Uint8Array.of(1, 0), endSec: 2.2e-3 }],
  });
  const charges = events.filter(({ pid, tid, ph }) => pid === 8 && tid === 3 && ph === "X");
  expect(charges.map(({ name, ts, dur }) => [name, ts, dur])).toEqual([
    ["bubble", 0, 1200],
    ["compute", 1200, 1000],
  ]);
  expect(events.find(({ name, pid }) => name === "F0" && pid === 0)!.args).toEqual({ critical: 1 });
});
