// The plan room: every strategy that a cluster admits for a job, and the proven best of them.

export { type Objective, stepEnergy, stepTime } from "./objectives/objective.ts";
export * from "./search/counts.ts";
export { makeEvaluate } from "./search/evaluate.ts";
export { sharedSchedules } from "./search/schedules.ts";
export { searchPlan } from "./search/searchPlan.ts";
export { listCores } from "./space/enumerate.ts";
export { leafJob } from "./space/leaf.ts";
export { readLimits, noLimits } from "./space/limits.ts";
