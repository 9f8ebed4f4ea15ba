// The task `predict`: a run file with a strategy in, one training step out. As plain as the library's own predictStep.

import { type Infeasible, predictStep, type SimulateOptions, type StepResult } from "@meshwright/core/simulate";
import { type ResolvedSpec, resolveSpec } from "@meshwright/core/spec";
import type { RunFile } from "../state/runFile.ts";

export interface PredictInput {
  readonly run: RunFile;
  readonly options?: SimulateOptions;
}

export interface Prediction {
  readonly spec: ResolvedSpec;
  readonly result: StepResult | Infeasible;
}

/** Throws InputError with every finding. Without a strategy the library's defaults hold: one rank of every axis, the rest data parallel. */
export function predict({ run, options }: PredictInput): Prediction {
  const spec = resolveSpec(run, noFiles);
  return { spec, result: predictStep(spec, options) };
}

/** A page reads no files by path: what is dropped on it is in the run file already. */
export const noFiles = { load: () => undefined } as const;
