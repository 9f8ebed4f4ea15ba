// Predicts a job that may not exist: what does not divide is no job, what does not fit says so.

import { predictStep } from "../../simulate/index.ts";
import type { Infeasible, StepResult } from "../../simulate/types.ts";
import { checkStrategy } from "../../spec/index.ts";
import { InputError } from "../../units/errors.ts";
import type { Scenario } from "./knobs.ts";

export type Prediction = StepResult | Infeasible;

/** Null where the strategy does not divide model, batch or devices, or the program cannot express it. */
export function tryPredict({ spec, options }: Scenario): Prediction | null {
  const { strategy, workload } = spec;
  if (!Number.isInteger(workload.globalBatch / (strategy.dp * strategy.microBatch))) return null;
  if (checkStrategy(spec).length > 0) return null;
  try {
    return predictStep(spec, { ...options, suggest: false });
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}
