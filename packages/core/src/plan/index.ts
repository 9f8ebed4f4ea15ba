// The plan room: what to do with a job - which strategy of all that the cluster admits, why it wins, what would change it.

export * from "./baselines/index.ts";
export * from "./explain/index.ts";
export { type Objective, stepEnergy, stepTime } from "./objectives/objective.ts";
export * from "./search/counts.ts";
export { makeEvaluate } from "./search/evaluate.ts";
export { sharedSchedules } from "./search/schedules.ts";
export { searchPlan } from "./search/searchPlan.ts";
export { listCores } from "./space/enumerate.ts";
export { leafJob } from "./space/leaf.ts";
export { noLimits, readLimits } from "./space/limits.ts";
