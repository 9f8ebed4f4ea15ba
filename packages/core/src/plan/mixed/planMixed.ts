// A mixed cluster's plan as an outcome like any other: the best layouts in full, what is a tie, and whether anything was left untried.

import type { JobSpec } from "../../spec/index.ts";
import { bottleneckOf, waterfall } from "../explain/index.ts";
import { type PlanOutcome, rankedPlan } from "../outcome.ts";
import type { PlanRequest } from "../request.ts";
import { type MixedOptions, searchMixed } from "./searchMixed.ts";

export function planMixed(job: JobSpec, request: PlanRequest, options: MixedOptions = {}): PlanOutcome {
  const { counts, best, nearestMiss } = searchMixed(job, request, options);
  const plans = best.slice(0, request.top);
  const winner = plans[0];
  const proven = counts.open === 0;
  return {
    job,
    request,
    counts,
    plans: plans.map((plan, i) => rankedPlan(plan, i, winner!)), // not empty inside map
    proven,
    numProven: proven ? Math.min(1, plans.length) : 0,
    bottleneck: winner === undefined ? null : bottleneckOf(winner.spec, waterfall(winner.spec, winner.result)).sentence,
    miss: winner === undefined ? nearestMiss : null,
    remedies: [],
  };
}
