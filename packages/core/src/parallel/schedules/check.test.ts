// The checker must find what builders get wrong: each test breaks a sound schedule in one way.

import { expect, it } from "vitest";
import { checkSchedule } from "./check.ts";
import { buildSchedule } from "./registry.ts";
import { encodeAction, type Schedule } from "./types.ts";

const sound = buildSchedule("zb-h1", { numRanks: 3, numMicroBatches: 4, numChunks: 1 });

function withRank(schedule: Schedule, rank: number, change: (codes: number[]) => number[]): Schedule {
  const actions = schedule.actions.map((codes, r) => (r === rank ? Int32Array.from(change([...codes])) : codes));
  return { ...schedule, actions };
}

function swap(codes: number[], a: number, b: number): number[] {
  const i = codes.indexOf(a);
  const j = codes.indexOf(b);
  codes[i] = b;
  codes[j] = a;
  return codes;
}

it("finds nothing wrong with a sound schedule", () => {
  expect(checkSchedule(sound)).toEqual([]);
});

it("finds an action that is missing, doubled or misplaced", () => {
  expect(checkSchedule(withRank(sound, 1, (codes) => codes.slice(0, -1)))[0]).toContain(
    "rank 1 never finishes micro-batch 3",
  );
  expect(checkSchedule(withRank(sound, 1, (codes) => [...codes, codes[0]!]))[0]).toContain("F0 on rank 1 runs twice");
  expect(checkSchedule(withRank(sound, 1, (codes) => [...codes, encodeAction("F", 0, 9)]))[0]).toContain(
    "F9 on rank 1 lies outside",
  );
});

it("finds B before F and W before B", () => {
  const forward = withRank(sound, 0, (codes) => swap(codes, encodeAction("F", 0, 3), encodeAction("B", 0, 3)));
  expect(checkSchedule(forward)[0]).toContain("B3 on rank 0 runs before what it needs");
  const weight = withRank(sound, 2, (codes) => swap(codes, encodeAction("B", 0, 3), encodeAction("W", 0, 3)));
  expect(checkSchedule(weight)[0]).toContain("W3 on rank 2 runs before what it needs");
});

it("finds a deadlock that no single rank shows", () => {
  // Rank 0 wants B0 before it runs F1; rank 1 wants F1 before it runs B0.
  const base = buildSchedule("1f1b", { numRanks: 2, numMicroBatches: 2, numChunks: 1 });
  const code = (kind: "F" | "BW", microBatch: number) => encodeAction(kind, 0, microBatch);
  const actions = [
    Int32Array.of(code("F", 0), code("BW", 0), code("F", 1), code("BW", 1)),
    Int32Array.of(code("F", 0), code("F", 1), code("BW", 0), code("BW", 1)),
  ];
  const findings = checkSchedule({ ...base, actions, stashBoundChunks: () => 2 });
  expect(findings).toEqual(["deadlock: rank 0 waits for ever before BW0", "deadlock: rank 1 waits for ever before F1"]);
});

it("finds a stash above the bound", () => {
  expect(checkSchedule({ ...sound, stashBoundChunks: () => 2 })[0]).toBe(
    "rank 0 holds 3 chunk stashes, its bound is 2",
  );
});

it("finds a micro-batch on the wrong replica, and shares that overlap", () => {
  const chimera = buildSchedule("chimera", { numRanks: 2, numMicroBatches: 4, numChunks: 2 });
  const crossed = { ...chimera, microBatchesOf: [...chimera.microBatchesOf].reverse() };
  expect(checkSchedule(crossed)[0]).toContain("belongs to the other replica");
  expect(
    checkSchedule({
      ...chimera,
      microBatchesOf: [
        [0, 1],
        [1, 2],
      ],
    })[0],
  ).toContain("micro-batch 1 belongs to 2 replicas");
});

it("finds stages that lie nowhere or twice", () => {
  const twice = { ...sound, stageOf: [[0], [0], [2]] };
  expect(checkSchedule(twice)).toEqual([
    "stage 0 of replica 0 lies on 2 ranks",
    "stage 1 of replica 0 lies on 0 ranks",
  ]);
});

it("finds split backward where none is announced, and pairs that cannot overlap", () => {
  expect(checkSchedule({ ...sound, splitBackward: false })[0]).toContain("splits backward");
  const flags = sound.actions.map((codes) => new Uint8Array(codes.length));
  flags[0]![0] = 1; // F0 and F1
  expect(checkSchedule({ ...sound, overlapped: flags })[0]).toContain("not one forward and one backward");
});
