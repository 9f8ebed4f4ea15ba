import { expect, it } from "vitest";
import { buildSchedule, peakStashChunks, type Schedule, scheduleFamilies } from "../../parallel/schedules/index.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { type StashDeltas, stashSeries, stashTimeline } from "./stash.ts";
import { actionTable } from "./types.ts";

function simulate(schedule: Schedule) {
  return simulatePipeline({
    schedule,
    durations: { tableSec: actionTable(schedule, ({ kind }) => (kind === "BW" ? 2 : 1)) },
  });
}

/** One byte per chunk stash, from F to the end of W or BW. */
function unitDeltas(schedule: Schedule): StashDeltas {
  return {
    atStartBytes: actionTable(schedule, ({ kind }) => (kind === "F" ? 1 : 0)),
    atEndBytes: actionTable(schedule, ({ kind }) => (kind === "W" || kind === "BW" ? -1 : 0)),
    transientBytes: actionTable(schedule, () => 0),
  };
}

it.each(scheduleFamilies)(
  "counts for $name the stashes that the schedule's checker counts, and ends at zero",
  (family) => {
    const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
    const schedule = family.build({ numRanks: 4, numMicroBatches: 12, numChunks });
    const { peakBytes, finalBytes } = stashTimeline(simulate(schedule), unitDeltas(schedule));
    for (let rank = 0; rank < 4; rank++) {
      expect(peakBytes[rank]).toBe(peakStashChunks(schedule, rank));
      expect(finalBytes[rank]).toBe(0);
    }
  },
);

it("adds what an action needs only while it runs", () => {
  const schedule = buildSchedule("1f1b", { numRanks: 2, numMicroBatches: 3, numChunks: 1 });
  const timeline = simulate(schedule);
  const deltas = {
    ...unitDeltas(schedule),
    transientBytes: actionTable(schedule, ({ kind }) => (kind === "BW" ? 10 : 5)),
  };
  const { peakBytes, peakAction } = stashTimeline(timeline, deltas);
  // Rank 0: F0 F1 B0 F2 B1 B2; the peak is B0, with two stashes held. Rank 1: F0 B0 ...: one stash.
  expect([...peakBytes]).toEqual([12, 11]);
  expect([...peakAction]).toEqual([2, timeline.graph.offsets[1]! + 1]);
});

it("releases in two steps where backward is split", () => {
  // F keeps 4 bytes, B frees 3 of them but keeps 2 of gradient, W frees the rest.
  const schedule = buildSchedule("zb-h1", { numRanks: 1, numMicroBatches: 2, numChunks: 1 });
  const deltas = {
    atStartBytes: actionTable(schedule, ({ kind }) => (kind === "F" ? 4 : kind === "B" ? 2 : 0)),
    atEndBytes: actionTable(schedule, ({ kind }) => (kind === "B" ? -3 : kind === "W" ? -3 : 0)),
    transientBytes: actionTable(schedule, () => 0),
  };
  const { timeSec, bytes } = stashSeries(simulate(schedule), deltas, 0);
  // F0 B0 W0 F1 B1 W1, one second each.
  expect([...timeSec]).toEqual([0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]);
  expect([...bytes]).toEqual([4, 4, 6, 3, 3, 0, 4, 4, 6, 3, 3, 0]);
});

it("holds both stashes of an overlapped pair at once", () => {
  const schedule = buildSchedule("dualpipe", { numRanks: 2, numMicroBatches: 8, numChunks: 2 });
  const { timeSec, bytes } = stashSeries(simulate(schedule), unitDeltas(schedule), 0);
  expect(Math.max(...bytes)).toBe(schedule.stashBoundChunks(0));
  for (let i = 1; i < timeSec.length; i++) expect(timeSec[i]).toBeGreaterThanOrEqual(timeSec[i - 1]!);
});
