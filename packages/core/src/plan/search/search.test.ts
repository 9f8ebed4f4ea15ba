import { describe, expect, it } from "vitest";
import { smallJob, smallJobs } from "../jobs.fixture.ts";
import { stepTime } from "../objectives/objective.ts";
import { allLeaves, bruteForce } from "./bruteForce.fixture.ts";
import { totalCount } from "./counts.ts";
import { searchPlan } from "./searchPlan.ts";

describe("searchPlan()", () => {
  it.each(Object.keys(smallJobs))(
    "finds what brute force finds: %s",
    (name) => {
      const job = smallJob(smallJobs[name]!);
      const truth = bruteForce(job);
      const search = searchPlan(job, stepTime);
      expect(search.counts.open).toBe(0);
      expect(totalCount(search.counts)).toBe(truth.numLeaves);
      expect(search.best[0]?.value).toBe(truth.best?.stepSec);
      // Bounds do the work: few leaves are simulated.
      expect(search.counts.simulated).toBeLessThan(truth.numLeaves / 4);
    },
    600_000,
  );

  it("leaves out what an engine cannot run, and counts it", () => {
    const job = smallJob(smallJobs["dense"]!);
    const noPipeline = { ...job, refuses: ({ pp }: { pp: number }) => (pp > 1 ? ["no pipeline"] : []) };
    const search = searchPlan(noPipeline, stepTime);
    let [numLeaves, numRun] = [0, 0];
    for (const { placement } of allLeaves(job)) {
      numLeaves += placement.numOrders;
      if (placement.pp === 1) numRun += placement.numOrders;
    }
    expect(totalCount(search.counts)).toBe(numLeaves);
    expect(search.counts.engine).toBeLessThanOrEqual(numLeaves - numRun);
    for (const { leaf } of search.best) expect(leaf.placement.pp).toBe(1);
  });

  it("lists no leaf twice", () => {
    const job = smallJob(smallJobs["dense"]!);
    const keys = [...allLeaves(job)].map((leaf) => JSON.stringify(leaf));
    expect(new Set(keys).size).toBe(keys.length);
  });
});
