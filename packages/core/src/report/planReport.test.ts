import { describe, expect, test } from "vitest";
import { objectiveOf, planJob, planOutcome, readPlanRequest, searchPlan } from "../plan/index.ts";
import { resolveJob } from "../spec/index.ts";
import { plainStyle } from "./paint.ts";
import { planReport } from "./planReport.ts";

/** 1B with the optimizer's state needs 20 GB: far more than devices of 1 GiB have. */
const description = {
  model: "llama-3.2-1b",
  cluster: { device: { base: "h100-sxm", memory: "1GiB" }, nodes: 1, gpus_per_node: 4 },
  workload: { seq: 2048, global_batch: 8 },
  plan: { forbid: ["offload"] },
};

function report(stopped: boolean): string {
  const job = resolveJob(description, { load: () => undefined });
  const request = readPlanRequest(job.plan);
  const space = planJob(job, request);
  const search = searchPlan(space, objectiveOf(request.objective, space), { stopped: () => stopped });
  return planReport(planOutcome(job, request, { space, search, numProven: 1, partial: false }), plainStyle);
}

describe("a search that finds nothing", () => {
  test("blames memory when the whole space was searched", () => {
    expect(report(false)).toMatch(/nothing fits: none of [\d.,kM]+ strategies/);
  });

  test("says how much was not tried when it was stopped", () => {
    const text = report(true);
    expect(text).toMatch(
      /nothing found yet among ([\d.,kM]+) strategies\n {2}the search stopped before it tried \1 of them/,
    );
    expect(text).not.toContain("memory than a device has");
  });
});
