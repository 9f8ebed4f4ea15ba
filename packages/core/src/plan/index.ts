// The plan room: what to do with a job - which strategy of all that the cluster admits, why it wins, what would change it.

export * from "./baselines/index.ts";
export { softwareChanges, strategyDescription } from "./describe.ts";
export * from "./explain/index.ts";
export { planMixed } from "./mixed/planMixed.ts";
export type { MixedOptions } from "./mixed/searchMixed.ts";
export {
  deviceCounts,
  type Extreme,
  type ExtremeName,
  type ExtremeSearch,
  findExtreme,
  withDevices,
} from "./objectives/extremes.ts";
export { type Objective, stepEnergy, stepTime } from "./objectives/objective.ts";
export { type FrontPoint, paretoFront, pointOf, undominated } from "./objectives/pareto.ts";
export {
  type MissedPlan,
  type PlanOutcome,
  planOutcome,
  type RankedPlan,
  type Remedy,
  resolvedLeaf,
} from "./outcome.ts";
export {
  ENGINES,
  type EngineName,
  type ObjectiveName,
  objectiveOf,
  type PlanRequest,
  planJob,
  readPlanRequest,
} from "./request.ts";
export { anyFits } from "./search/anyFits.ts";
export * from "./search/counts.ts";
export { type CrewOptions, type Hand, searchWithCrew } from "./search/crew.ts";
export { makeEvaluate } from "./search/evaluate.ts";
export { sharedSchedules } from "./search/schedules.ts";
export type { Found, NearMiss } from "./search/searchCore.ts";
export { finish } from "./search/searchCore.ts";
export {
  type PlanSearch,
  RoundedSearch,
  type SearchOptions,
  type SearchProgress,
  searchPlan,
} from "./search/searchPlan.ts";
export { surveyLayouts } from "./search/survey.ts";
export { bestOfLayouts, type CoreAnswer, type CoreTask, leafKey, taskRunner, taskSteps } from "./search/task.ts";
export { listCores } from "./space/enumerate.ts";
export { focusedJob } from "./space/focus.ts";
export { leafJob } from "./space/leaf.ts";
export { type Limits, noLimits, readLimits } from "./space/limits.ts";
export type { Core, Leaf, PlanJob } from "./space/types.ts";
export { strategyWords } from "./strategyWords.ts";
