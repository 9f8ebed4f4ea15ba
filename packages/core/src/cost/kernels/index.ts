// Kernel prices: one query on one device in, seconds with provenance out.
export { kernelCost } from "./kernelCost.ts";
