import type { Axis, Mesh } from "@meshwright/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { measuredTimeline } from "./measuredTimeline.ts";
import { meetingsOf, separateWaits, waitsOf } from "./waits.ts";

const mesh: Mesh = {
  ...{ tp: 2, cp: 1, ulysses: 1, pp: 1, dp: 2, ep: 1, etp: 1, shard: 1 },
  order: ["tp", "cp", "dp", "pp"],
};
const axes: readonly Axis[] = ["tp", "dp"];

/** Ops of one rank: axis (null: no meeting), start, end. */
function spansOf(rank: number, ops: readonly (readonly [Axis | null, number, number])[]): RankSpans {
  return {
    rank,
    names: ["matmul", "all-reduce tp", "all-reduce dp"],
    categories: ["compute", "tp", "dp"],
    count: ops.length,
    name: Int32Array.from(ops, ([axis]) => (axis === null ? 0 : 1 + axes.indexOf(axis))),
    category: Int32Array.from(ops, ([axis]) => (axis === null ? 0 : 1 + axes.indexOf(axis))),
    level: new Uint8Array(ops.length).fill(1),
    axis: Int8Array.from(ops, ([axis]) => (axis === null ? -1 : axes.indexOf(axis))),
    axes,
    startSec: Float64Array.from(ops, ([, start]) => start),
    endSec: Float64Array.from(ops, ([, , end]) => end),
    heldBytes: new Float64Array(ops.length),
  };
}

// Ranks 0 and 1 are a tp group, 2 and 3 another; 0 and 2 meet over dp, 1 and 3 too.
const all = [
  spansOf(0, [
    [null, 0, 1],
    ["tp", 1, 5],
    ["dp", 5, 10],
  ]),
  spansOf(1, [
    [null, 0, 4],
    ["tp", 4, 5],
    ["dp", 6, 7],
  ]),
  spansOf(2, [
    [null, 0, 2],
    ["tp", 2, 4],
    ["dp", 9, 10],
  ]),
  spansOf(3, [
    [null, 0, 3],
    ["tp", 3, 4],
    ["dp", 4, 7],
  ]),
];

describe("waitsOf()", () => {
  it("counts from a rank's arrival to that of the last rank of its group", () => {
    expect(waitsOf(mesh, all).map((waits) => [...waits])).toEqual([
      [0, 3, 4],
      [0, 0, 0],
      [0, 1, 0],
      [0, 0, 2],
    ]);
  });

  it("leaves the last rank of every meeting without a wait, and nobody with more than its span", () => {
    const durations = fc.array(
      fc.tuple(
        fc.constantFrom<Axis>("tp", "dp"),
        fc.array(fc.double({ min: 0, max: 9, noNaN: true }), { minLength: 4, maxLength: 4 }),
      ),
      { maxLength: 20 },
    );
    fc.assert(
      fc.property(durations, (meetings) => {
        // Everybody works for a while of its own, then meets; a meeting ends a second after its last rank came.
        const clock = [0, 0, 0, 0];
        const ops: (readonly [Axis, number, number])[][] = [[], [], [], []];
        for (const [axis, work] of meetings) {
          const start = clock.map((sec, rank) => sec + work[rank]!);
          for (const rank of [0, 1, 2, 3]) {
            const peer = axis === "tp" ? rank ^ 1 : rank ^ 2;
            clock[rank] = Math.max(start[rank]!, start[peer]!) + 1;
            ops[rank]!.push([axis, start[rank]!, clock[rank]!]);
          }
        }
        const spans = ops.map((each, rank) => spansOf(rank, each));
        for (const [rank, waits] of waitsOf(mesh, spans).entries())
          for (const [i, wait] of waits.entries())
            expect(spans[rank]!.endSec[i]! - spans[rank]!.startSec[i]! - wait).toBeCloseTo(1, 6);
      }),
    );
  });
});

it("separateWaits() takes the wait out of each op and adds it up", () => {
  const op = (name: string, durationSec: number) => ({ name, kind: "tp", count: 1, durationSec });
  const ranks = all.map((spans) => ({ ops: [op("matmul", 7), op("all-reduce tp", 4)], meetings: [meetingsOf(spans)] }));
  expect(separateWaits(mesh, ranks, 0)).toEqual({ ops: [op("matmul", 7), op("all-reduce tp", 1)], waitSec: 7 });
});

it("a measured timeline shows the wait and the rest of a meeting as two spans", () => {
  const { spans } = measuredTimeline("step", mesh, all);
  const own = spans
    .filter(({ rankIndex }) => rankIndex === 0)
    .map((span) => [span.name, span.startSec, span.durationSec]);
  expect(own).toEqual([
    ["matmul", 0, 1],
    ["wait for all-reduce tp", 1, 3],
    ["all-reduce tp", 4, 1],
    ["wait for all-reduce dp", 5, 4],
    ["all-reduce dp", 9, 1],
  ]);
});
