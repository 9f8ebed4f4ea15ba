import fc from "fast-check";
import { expect, it } from "vitest";
import { earliestRank, rankClock, wakeAt } from "./rankClock.ts";

it("names the earliest rank, the lowest of equals, as a scan over all ranks does", () => {
  const change = fc.record({ rank: fc.nat(), time: fc.integer({ min: 0, max: 5 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 11 }), fc.array(change, { maxLength: 40 }), (numRanks, changes) => {
      const clock = rankClock(numRanks);
      const times = new Array<number>(numRanks).fill(0);
      for (const { rank, time } of changes) {
        times[rank % numRanks] = time;
        wakeAt(clock, rank % numRanks, time);
        expect(earliestRank(clock)).toBe(times.indexOf(Math.min(...times)));
      }
    }),
    { seed: 5 },
  );
});
