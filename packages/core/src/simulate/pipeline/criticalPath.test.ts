import fc from "fast-check";
import { expect, it } from "vitest";
import { buildSchedule, describeAction, scheduleFamilies } from "../../parallel/schedules/index.ts";
import { criticalPath } from "./criticalPath.ts";
import { simulatePipeline } from "./simulatePipeline.ts";
import { actionTable } from "./types.ts";

it("adds up to the makespan for every family, transfer mode and duration", () => {
  fc.assert(
    fc.property(
      fc.nat(),
      fc.boolean(),
      fc.constantFrom(0, 0.25, 2),
      fc.constantFrom(...scheduleFamilies),
      (seed, overlapP2p, transferSec, family) => {
        const numChunks = "fixed" in family.chunks ? family.chunks.fixed : 2;
        const schedule = family.build({ numRanks: 4, numMicroBatches: 8, numChunks });
        // Eighths, so that sums are exact.
        const tableSec = actionTable(
          schedule,
          ({ stage, kind }) => (((seed ^ (stage * 2654435761)) % 7) + 1 + (kind === "F" ? 0 : 4)) / 8,
        );
        for (const [i, value] of tableSec.entries()) tableSec[i] = Math.abs(value);
        const rankReadySec = Float64Array.of(0.5, 0, 1, 0.25);
        const timeline = simulatePipeline({ schedule, durations: { tableSec }, transferSec, overlapP2p, rankReadySec });
        const path = criticalPath(timeline);
        expect(path.leadSec + path.computeSec + path.transferSec).toBe(timeline.makespanSec);
        for (let i = 1; i < path.actions.length; i++) {
          expect(timeline.startSec[path.actions[i]!]).toBeGreaterThanOrEqual(timeline.endSec[path.actions[i - 1]!]!);
        }
      },
    ),
    { seed: 3, numRuns: 200 },
  );
});

it("follows the slow rank", () => {
  const schedule = buildSchedule("1f1b", { numRanks: 3, numMicroBatches: 3, numChunks: 1 });
  const tableSec = actionTable(schedule, ({ rank, kind }) => (rank === 1 ? 10 : 1) * (kind === "F" ? 1 : 2));
  const { graph, ...timeline } = simulatePipeline({ schedule, durations: { tableSec } });
  const { actions } = criticalPath({ graph, ...timeline });
  const names = [...actions].map((a) => `${graph.rankOf[a]}:${describeAction(graph.codes[a]!, 1)}`);
  expect(names).toEqual(["0:F0", "1:F0", "1:F1", "1:BW0", "1:F2", "1:BW1", "1:BW2", "0:BW2"]);
});
