// Kernel prices: one query on one device in, seconds with provenance out.
export { elementwiseCost, kernelCost } from "./kernelCost.ts";
export type { ElementwiseQuery, KernelConditions } from "./kernelModel.ts";
export { dynamicJoules, type PowerConditions, POWER_EXPONENT, sustainedClockFrac } from "./power.ts";
export { causalPairs } from "./shapes.ts";
