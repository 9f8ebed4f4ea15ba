// The library in one import. Each room can also be imported alone (`@meshwright/core/model`), which loads less.

export * from "./cluster/index.ts";
// Of the cost room, what answers single questions; the pricing of programs is for simulate/ (and `@meshwright/core/cost`).
export { collectiveCost, hostCopyCost, kernelCost, moeExchangeCost } from "./cost/index.ts";
export type { CollectiveQuery, Cost, CostSource, KernelQuery, MoeExchangeQuery } from "./cost/types.ts";
export * from "./interop/index.ts";
export * from "./model/index.ts";
export * from "./parallel/access.ts";
export * from "./parallel/gradientRuns.ts";
export * from "./parallel/liveness.ts";
export * from "./parallel/lower/index.ts";
export * from "./parallel/mesh.ts";
export * from "./parallel/muonMatrices.ts";
export * from "./parallel/parameterUpdates.ts";
export * from "./parallel/placements.ts";
export * from "./parallel/program.ts";
export * from "./parallel/rankSites.ts";
export * from "./parallel/replicaPrograms.ts";
export * from "./parallel/schedules/index.ts";
export * from "./parallel/software/engineLimits.ts";
export * from "./parallel/software/index.ts";
export * from "./parallel/strategy.ts";
export * from "./parallel/tokens.ts";
export * from "./plan/index.ts";
export * from "./report/index.ts";
export type { StepSpec } from "./simulate/index.ts";
export * from "./simulate/index.ts";
export * from "./spec/index.ts";
export * from "./units/index.ts";
export * from "./validate/index.ts";
