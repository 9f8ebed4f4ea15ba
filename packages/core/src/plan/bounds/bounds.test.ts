// Every floor against the prediction, on strategies drawn from the spaces of jobs.fixture.ts: no floor may exceed what is simulated, and what the memory
// bound refuses must not fit.

import { describe, expect, it } from "vitest";
import { predictStep } from "../../simulate/index.ts";
import { floorJobs, smallJob, smallJobs } from "../jobs.fixture.ts";
import { stepTime } from "../objectives/objective.ts";
import { allLeaves } from "../search/bruteForce.fixture.ts";
import { sharedSchedules } from "../search/schedules.ts";
import { leafJob } from "../space/leaf.ts";
import { CoreTree } from "../space/tree.ts";
import type { Leaf, PlanJob } from "../space/types.ts";
import { CoreBounds } from "./coreBounds.ts";

const jobs = { ...smallJobs, ...floorJobs };

/** Rounding of sums in another order. */
const ROUNDING = 1 + 1e-9;

/** Evenly spread over the list, offset by the job so that jobs differ. */
function sample(job: PlanJob, count: number, offset: number): Leaf[] {
  const all = [...allLeaves(job)];
  const step = all.length / count;
  return Array.from({ length: count }, (_, i) => all[Math.floor((i + offset) * step) % all.length]!);
}

function boundsOf(job: PlanJob, leaf: Leaf): { bounds: CoreBounds; tree: CoreTree } {
  const tree = new CoreTree(job, leaf.core);
  const bounds = new CoreBounds(job, leaf.core, stepTime, {
    endingsAt: (placement, family) => tree.endingsAt(placement, family),
    scheduleOf: sharedSchedules(),
  });
  return { bounds, tree };
}

describe("CoreBounds", () => {
  it.each(Object.keys(jobs))(
    "never exceed the predicted step: %s",
    (name) => {
      const job = smallJob(jobs[name]!);
      for (const leaf of sample(job, 48, 0.37)) {
        const { model, cluster, workload } = job;
        const step = predictStep(
          { model, cluster, workload, ...leafJob(job, leaf) },
          { ignoreMemory: true, suggest: false },
        );
        if (step.kind !== "ok") throw new Error("memory is ignored");
        const { bounds, tree } = boundsOf(job, leaf);
        const { placement, manner, keep } = leaf;
        const label = JSON.stringify(leaf);
        // A floor may use that it is asked for strategies no slower than the best so far.
        for (const best of [Number.POSITIVE_INFINITY, step.stepSec * ROUNDING]) {
          const priced = bounds.priceBody(leaf, best);
          const timed = bounds.timeBody(leaf, priced);
          const settled = bounds.settledEnding(leaf, timed, best);
          const floors: Record<string, number> = {
            kernels: bounds.kernelBound(placement, manner, best),
            manner: bounds.mannerBound(placement, manner, best),
            keep: bounds.keepBound(placement, manner, keep, best),
            body: bounds.bodyBound(leaf, best),
            endings: bounds.bodyEndings(leaf, [leaf.ending], best),
            priced: priced.bound,
            timed: timed.bound,
            "own clock": bounds.ownClockBound(leaf, leaf.ending, best),
            ending: bounds.endingBound(leaf, timed),
            settled: settled === null ? 0 : bounds.endingBound(leaf, settled),
          };
          // The clock that power leaves the step is the simulation's own.
          expect(bounds.floorState(leaf, best).clockFrac, `clock of ${label}`).toBeGreaterThanOrEqual(step.clockFrac);
          expect(bounds.ownClock(leaf, leaf.ending, best), `clock of ${label}`).toBeGreaterThanOrEqual(step.clockFrac);
          const fits = bounds.endingFits(leaf);
          for (const [level, floor] of Object.entries(floors)) {
            if (level === "endings" && !fits) continue;
            expect(floor, `${level} with best ${best} of ${label}`).toBeLessThanOrEqual(step.stepSec * ROUNDING);
          }
        }
        const { memory } = step.ranks[step.peakRank]!;
        const hostBytes = Math.max(...step.ranks.map((rank) => rank.memory.hostBytes ?? 0));
        const tooLarge =
          memory.peakBytes > memory.capacityBytes || hostBytes > cluster.node.hostMemoryBytes / cluster.node.numDevices;
        if (!bounds.endingFits(leaf)) expect(tooLarge, `memory of ${label}`).toBe(true);
        if (!bounds.bodyFits(leaf, tree.endingsAt(placement, manner.family))) expect(tooLarge, label).toBe(true);
        if (bounds.mannerExcess(placement, manner) > 0) expect(tooLarge, label).toBe(true);
        if (bounds.keepExcess(placement, manner, keep) > 0) expect(tooLarge, label).toBe(true);
        if (keep.partial) {
          const { numRecomputed } = leaf.body;
          const fewest = bounds.fewestRecomputed(leaf, tree.endingsAt(placement, manner.family), numRecomputed);
          if (fewest === null) expect(tooLarge, label).toBe(true);
        }
      }
    },
    600_000,
  );
});
