// What a verification means: which proofs failed, and which do not apply to this job.

import { formatBytes } from "@meshwright/core";
import type { Verification } from "../../reference/verify.ts";
import type { RunSpec, Verdict } from "../launch/rankJob.ts";

/** Largest relative error of loss and gradients that f32 explains. */
export const errorLimit = 1e-5;

/** Whether the rows that travel to experts are as many as the program declares: skewed routing without capacity moves others. */
export function bytesAreFixed({ strategy }: RunSpec): boolean {
  return strategy.routing.kind === "balanced" || strategy.capacityFactor !== null;
}

export function verdictOf(verification: Verification, spec: RunSpec): Verdict {
  const { lossRelErr, gradMaxRelErr, worstParameter, muonMaxRelErr, bytes, memory } = verification;
  const failures: string[] = [];
  const notes: string[] = [];
  if (!(lossRelErr <= errorLimit)) failures.push(`the loss is ${lossRelErr.toExponential(2)} off the unsplit model's`);
  if (!(gradMaxRelErr <= errorLimit))
    failures.push(`the gradient of ${worstParameter} is ${gradMaxRelErr.toExponential(2)} off the unsplit model's`);
  if (muonMaxRelErr !== null && !(muonMaxRelErr <= errorLimit))
    failures.push(`matrices after Muon's step are ${muonMaxRelErr.toExponential(2)} off the unsplit model's`);
  if (bytesAreFixed(spec)) failures.push(...bytes.mismatches.map((text) => `bytes sent differ: ${text}`));
  else notes.push("routing decides how many rows travel to experts, so bytes sent are not compared");
  failures.push(...memory.mismatches.map((text) => `live bytes differ: ${text}`));
  for (const [rank, predicted] of memory.predictedPeakBytes.entries()) {
    const measured = memory.executedPeakBytes[rank]!;
    if (Math.abs(measured - predicted) > 1e-6)
      failures.push(`rank ${rank} held ${formatBytes(measured)} at its peak instead of ${formatBytes(predicted)}`);
  }
  return {
    lossRelErr,
    gradMaxRelErr,
    worstParameter,
    ...(muonMaxRelErr === null ? {} : { muonMaxRelErr }),
    bytesSent: { predicted: bytes.predicted, measured: bytes.executed },
    peakBytes: {
      predicted: Math.max(...memory.predictedPeakBytes),
      measured: Math.max(...memory.executedPeakBytes),
    },
    failures,
    notes,
  };
}
