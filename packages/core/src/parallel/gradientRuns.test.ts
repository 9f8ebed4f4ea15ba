import { describe, expect, it } from "vitest";
import { gradientRuns } from "./gradientRuns.ts";
import { buildSchedule, decodeAction, scheduleFamilies } from "./schedules/index.ts";

describe("gradientRuns()", () => {
  it("of an interleaved schedule are as long as its groups", () => {
    const schedule = buildSchedule("interleaved", { numRanks: 4, numMicroBatches: 8, numChunks: 2 });
    const { begins, ends } = gradientRuns(schedule, 0);
    const text = (codes: ReadonlySet<number>) =>
      [...codes].map((code) => `${decodeAction(code).chunk}:${decodeAction(code).microBatch}`);
    expect(text(begins)).toEqual(["1:0", "0:0", "1:4", "0:4"]);
    expect(text(ends)).toEqual(["1:3", "0:3", "1:7", "0:7"]);
  });

  it("of a rank with one chunk are one, of breadth-first one a chunk", () => {
    for (const [name, numChunks] of [
      ["1f1b", 1],
      ["gpipe", 1],
      ["breadth-first", 3],
    ] as const) {
      const schedule = buildSchedule(name, { numRanks: 4, numMicroBatches: 8, numChunks });
      for (let rank = 0; rank < 4; rank++) expect(gradientRuns(schedule, rank).ends.size, name).toBe(numChunks);
    }
  });

  it("begin and end in turn, and hold every whole backward once", () => {
    for (const family of scheduleFamilies) {
      if (family.splitBackward) continue;
      const numChunks = "fixed" in family.chunks ? family.chunks.fixed : Math.max(2, family.chunks.min);
      const schedule = buildSchedule(family.name, { numRanks: 4, numMicroBatches: 8, numChunks });
      for (let rank = 0; rank < 4; rank++) {
        const { begins, ends } = gradientRuns(schedule, rank);
        let open = -1;
        for (const code of schedule.actions[rank]!) {
          const { kind, chunk } = decodeAction(code);
          if (kind !== "BW") continue;
          if (begins.has(code)) {
            expect(open, `${family.name}: runs do not nest`).toBe(-1);
            open = chunk;
          }
          expect(open, `${family.name}: the chunk of the run`).toBe(chunk);
          if (ends.has(code)) open = -1;
        }
        expect(open).toBe(-1);
      }
    }
  });
});
