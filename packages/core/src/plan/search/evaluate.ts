// A leaf's true figures: lowered and simulated like any other strategy.

import { lowerTraining } from "../../parallel/lower/index.ts";
import { briefProgram } from "../../simulate/index.ts";
import type { Infeasible, StepBrief } from "../../simulate/types.ts";
import type { ScheduleOf } from "../bounds/timedPipeline.ts";
import { leafJob } from "../space/leaf.ts";
import type { Leaf, PlanJob } from "../space/types.ts";

export type Evaluate = (leaf: Leaf) => StepBrief | Infeasible;

export function makeEvaluate(job: PlanJob, scheduleOf: ScheduleOf): Evaluate {
  const { model, cluster, workload } = job;
  return (leaf) => {
    const { strategy, software } = leafJob(job, leaf);
    const schedule = scheduleOf(leaf.placement, leaf.body);
    const program = lowerTraining(model, strategy, workload, software, { schedule });
    return briefProgram(program, { cluster, software, model, workload });
  };
}
