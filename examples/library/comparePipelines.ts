// The library from TypeScript: one job under several pipeline schedules, the fastest first. `npx tsx examples/library/main.ts` prints it.

import {
  formatBytes,
  formatSeconds,
  type Infeasible,
  InputError,
  predictStep,
  type ResolvedSpec,
  resolveSpec,
  type StepResult,
} from "@meshwright/core";

export interface Candidate {
  readonly schedule: string;
  readonly spec: ResolvedSpec;
  readonly result: StepResult | Infeasible;
}

/** A spec is plain data with the fields of docs/predict.md; what it leaves open is filled in, what is wrong is an InputError. */
export function predictUnder(schedule: string): Candidate {
  const spec = resolveSpec(
    {
      model: "llama-3.1-70b",
      cluster: "64xh100-sxm",
      workload: { seq: 8192, global_batch: 128 },
      strategy: { tp: 8, pp: 4, schedule },
      software: { preset: "megatron-core", reserved_bytes: "3GiB" },
    },
    // Where names of files in a spec are looked up: nowhere, here.
    { load: () => undefined },
  );
  return { schedule, spec, result: predictStep(spec, { suggest: false }) };
}

/** One line a schedule, the fastest first; what does not fit says by how much. */
export function compare(schedules: readonly string[]): string[] {
  const lines: { readonly stepSec: number; readonly text: string }[] = [];
  for (const schedule of schedules) {
    try {
      const { result } = predictUnder(schedule);
      if (result.kind === "infeasible") {
        const over = formatBytes(result.needBytes - result.haveBytes);
        lines.push({
          stepSec: Number.POSITIVE_INFINITY,
          text: `${schedule}: ${over} too much on rank ${result.pipelineRank}`,
        });
        continue;
      }
      const { memory } = result.ranks[result.peakRank]!; // peakRank is a pipeline rank of the result
      const text = `${schedule}: ${formatSeconds(result.stepSec)}, MFU ${(100 * result.mfuCausal).toFixed(1)} %, ${formatBytes(memory.peakBytes)}`;
      lines.push({ stepSec: result.stepSec, text });
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      for (const { path, message } of error.findings)
        lines.push({ stepSec: Number.POSITIVE_INFINITY, text: `${schedule}: ${path}: ${message}` });
    }
  }
  return lines.sort((a, b) => a.stepSec - b.stepSec).map((line) => line.text);
}
