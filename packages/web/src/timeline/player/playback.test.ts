import { scheduleFamilies } from "@meshwright/core/parallel/schedules";
import { describe, expect, test } from "vitest";
import { playSchedule, stashesAt, stepped } from "./playback.ts";

const job = { numRanks: 4, numMicroBatches: 8, numChunks: 2 };

test("1F1B idles (p - 1) / (m + p - 1) of the step, and rank r holds p - r stashes at most", () => {
  const played = playSchedule({ ...job, family: "1f1b" });
  expect(played.idleFrac).toBeCloseTo(3 / 11, 9);
  expect(played.makespan).toBeCloseTo(11 * 3, 9);
  expect(played.mostStashes).toEqual([4, 3, 2, 1]);
});

test("GPipe holds every micro-batch", () => {
  expect(playSchedule({ ...job, family: "gpipe" }).mostStashes).toEqual([8, 8, 8, 8]);
});

describe.each(scheduleFamilies.map(({ name }) => name))("%s", (family) => {
  const played = playSchedule({ ...job, family });

  test("works as long on every rank as any other schedule", () => {
    for (let rank = 0; rank < 4; rank++) {
      const work = played.actions
        .filter((action) => action.rank === rank)
        .reduce((sum, { start, end }) => sum + end - start, 0);
      expect(work).toBeCloseTo(3 * 8, 6);
    }
  });

  test("holds nothing before the start and after the end", () => {
    expect(stashesAt(played, -1)).toEqual([0, 0, 0, 0]);
    expect(stashesAt(played, played.makespan)).toEqual([0, 0, 0, 0]);
  });
});

test("steps go from instant to instant and stop at the ends", () => {
  expect([stepped([0, 1, 3], 0, 1), stepped([0, 1, 3], 1, 1), stepped([0, 1, 3], 3, 1)]).toEqual([1, 3, 3]);
  expect([stepped([0, 1, 3], 2, -1), stepped([0, 1, 3], 0, -1)]).toEqual([1, 0]);
});

test("numbers that a schedule does not admit are refused with its rule", () => {
  expect(() => playSchedule({ ...job, numMicroBatches: 7, family: "dualpipe" })).toThrow(/micro/);
});
