// The cost room: how long one kernel, one collective, one op of a program takes.

export { axisSpans } from "./axisSpans.ts";
export * from "./kernels/index.ts";
export { attentionFlops } from "./matrixWork.ts";
export * from "./network/index.ts";
export {
  type HostCopyQuery,
  type HostWorkQuery,
  type OpContext,
  type OpQuery,
  type OpWork,
  opContext,
} from "./opContext.ts";
export { opKernels, phaseWork } from "./opKernels.ts";
export { axisTimeKind, type OpTimeKind, opName, opTimeKind } from "./opNames.ts";
export { outermostLevel, type PricedOp, priceOps, queryCost } from "./priceOps.ts";
export { type RoutingLoad, routingLoad } from "./routingLoad.ts";
export * from "./types.ts";
