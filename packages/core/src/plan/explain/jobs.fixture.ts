// Small jobs that tests of explanations share.

import { predictStep, type SimulateOptions, type StepSpec } from "../../simulate/index.ts";
import type { StepResult } from "../../simulate/types.ts";
import { resolveSpec } from "../../spec/index.ts";

export interface Job {
  readonly model?: string;
  readonly cluster?: unknown;
  readonly strategy?: Readonly<Record<string, unknown>>;
  readonly seq?: number;
  readonly batch?: number;
  readonly software?: unknown;
}

export function specOf(job: Job = {}): StepSpec {
  const { model = "llama-3.2-1b", cluster = "16xh100-sxm", strategy = {}, seq = 2048, batch = 64 } = job;
  return resolveSpec(
    {
      model,
      cluster,
      strategy,
      workload: { seq, global_batch: batch },
      software: job.software ?? "megatron-core-2025",
    },
    { load: () => undefined },
  );
}

/** The step, memory or not, with the ops of every rank. */
export function stepOf(spec: StepSpec, options: SimulateOptions = {}): StepResult {
  const result = predictStep(spec, { ignoreMemory: true, rankOps: true, ...options });
  if (result.kind !== "ok") throw new Error("a step that ignores memory is feasible");
  return result;
}
