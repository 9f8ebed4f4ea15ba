// One suite for every family: whatever it admits it builds soundly, on a grid of ranks, micro-batches, chunks and costs.

import { describe, expect, it } from "vitest";
import { InputError } from "../../units/errors.ts";
import { checkSchedule, peakStashChunks } from "./check.ts";
import { printSchedule } from "./print.ts";
import { buildSchedule, scheduleFamilies, scheduleFamily } from "./registry.ts";
import type { ScheduleFamily, ScheduleRequest } from "./types.ts";

const costGrid = [
  undefined,
  { F: 1, B: 1.1, W: 0.7, send: 0.1 },
  { F: 1, B: 2, W: 0, send: 0 },
  { F: 2, B: 1, W: 1.5, send: 1 },
];

function* requests(family: ScheduleFamily): Generator<ScheduleRequest> {
  const chunkCounts = "fixed" in family.chunks ? [family.chunks.fixed] : [1, 2, 3, 4];
  for (const numRanks of [1, 2, 3, 4, 6, 8]) {
    for (const numMicroBatches of [1, 2, 3, 4, 5, 8, 11, 16, 24]) {
      for (const numChunks of chunkCounts) {
        for (const costs of costGrid) {
          const request = { numRanks, numMicroBatches, numChunks, ...(costs === undefined ? {} : { costs }) };
          if (family.check(request).length === 0) yield request;
        }
      }
    }
  }
}

describe.each(scheduleFamilies)("$name", (family) => {
  it("passes the check for every admitted request", () => {
    let count = 0;
    for (const request of requests(family)) {
      expect(checkSchedule(family.build(request)), JSON.stringify(request)).toEqual([]);
      count++;
    }
    expect(count).toBeGreaterThan(30);
  });

  it("states a stash bound that some rank reaches", () => {
    // Three times as many micro-batches as any schedule needs to reach its steady state with 4 ranks.
    const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
    const schedule = family.build({ numRanks: 4, numMicroBatches: 24, numChunks });
    const slack = [0, 1, 2, 3].map((rank) => schedule.stashBoundChunks(rank) - peakStashChunks(schedule, rank));
    expect(Math.min(...slack)).toBe(0);
  });

  it("builds the same schedule twice", () => {
    const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
    const request = { numRanks: 4, numMicroBatches: 12, numChunks, costs: { F: 1, B: 1.2, W: 0.8, send: 0.1 } };
    expect(printSchedule(family.build(request))).toBe(printSchedule(family.build(request)));
  });

  it("refuses counts that are not whole and positive, all at once", () => {
    const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
    expect(family.check({ numRanks: 0, numMicroBatches: 2.5, numChunks }).length).toBeGreaterThanOrEqual(2);
    const costs = { F: Number.NaN, B: -1, W: 0, send: 0 };
    expect(family.check({ numRanks: 4, numMicroBatches: 8, numChunks, costs })).toHaveLength(2);
  });

  it("says in its flags what its actions are", () => {
    const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
    const schedule = family.build({ numRanks: 4, numMicroBatches: 8, numChunks });
    expect(schedule.name).toBe(family.name);
    expect(schedule.splitBackward).toBe(family.splitBackward);
    expect(schedule.actions.some((codes) => codes.some((code) => (code & 3) === 2))).toBe(family.splitBackward);
  });
});

describe("buildSchedule()", () => {
  it("names the nearest schedule when there is none of that name", () => {
    expect(() => buildSchedule("zb_h1", { numRanks: 4, numMicroBatches: 8, numChunks: 1 })).toThrow(
      'did you mean "zb-h1"',
    );
    expect(() => scheduleFamily("interleave")).toThrow(InputError);
  });

  it("reports every finding in one InputError", () => {
    const build = () => buildSchedule("dualpipe", { numRanks: 3, numMicroBatches: 5, numChunks: 1 });
    expect(build).toThrow(InputError);
    for (const text of [
      "even number of pipeline ranks",
      "even number of micro-batches",
      "at least 6",
      "2 chunks per rank",
    ]) {
      expect(build).toThrow(text);
    }
  });

  it("shares micro-batches equally between the replicas of a bidirectional schedule", () => {
    const { microBatchesOf } = buildSchedule("chimera", { numRanks: 4, numMicroBatches: 10, numChunks: 2 });
    expect(microBatchesOf).toEqual([
      [0, 1, 4, 5, 8],
      [2, 3, 6, 7, 9],
    ]);
  });

  it("follows Megatron's rule on the last micro-batch group of the interleaved schedule", () => {
    const request = { numRanks: 4, numChunks: 2, groupSize: 5 };
    expect(() => buildSchedule("interleaved", { ...request, numMicroBatches: 8 })).toThrow("last group of 3");
    expect(checkSchedule(buildSchedule("interleaved", { ...request, numMicroBatches: 9 }))).toEqual([]);
    expect(() => buildSchedule("interleaved", { ...request, groupSize: 3, numMicroBatches: 9 })).toThrow("at least 4");
  });

  it("holds the stash limit of zb-auto", () => {
    for (const stashLimit of [1, 2, 3, 4, 6]) {
      const schedule = buildSchedule("zb-auto", { numRanks: 4, numMicroBatches: 12, numChunks: 1, stashLimit });
      expect(checkSchedule(schedule)).toEqual([]);
      for (let rank = 0; rank < 4; rank++) expect(peakStashChunks(schedule, rank)).toBeLessThanOrEqual(stashLimit);
    }
    expect(() => buildSchedule("zb-auto", { numRanks: 4, numMicroBatches: 12, numChunks: 1, stashLimit: 0 })).toThrow(
      "stash limit",
    );
  });
});
