// The reference: executes programs with real numbers and proves them against the unsplit model.

export type { ActionRecord } from "./actions.ts";
export { runStep, type StepOutcome } from "./engine.ts";
export { type Traffic, TrafficBook } from "./traffic.ts";
export { type Truth, type TruthRequest, unsplitStep } from "./truth/model.ts";
export { type Verification, verifyProgram } from "./verify.ts";
