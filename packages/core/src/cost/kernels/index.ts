// Kernel prices: one query on one device in, seconds with provenance out.
export { elementwiseCost, kernelCost, mixedAttentionCost } from "./kernelCost.ts";
export type { ElementwiseQuery } from "./kernelModel.ts";
export type { MixedShape } from "./mixedModel.ts";
export { dynamicJoules, POWER_EXPONENT, type PowerConditions, sustainedClockFrac } from "./power.ts";
export type { KernelConditions } from "./pricing.ts";
export { causalPairs } from "./shapes.ts";
