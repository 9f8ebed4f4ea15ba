// What each data parallel replica runs where shares of the batch differ: the same blocks and stages, the schedule of its own number of micro-batches.
// Nothing inside a micro-batch joins replicas then (spec/checkMixed.ts), so they meet only where gradients are summed.

import type { Program } from "./program.ts";
import { buildSchedule } from "./schedules/index.ts";

/** The program as a replica with `share` micro-batches runs it. */
export function programOfShare(program: Program, share: number): Program {
  if (share === program.microBatchesPerStep) return program;
  const { name, numRanks, numChunks } = program.schedule;
  const schedule = buildSchedule(name, { numRanks, numChunks, numMicroBatches: share });
  return { ...program, schedule, microBatchesPerStep: share };
}

/** Replicas that run alike, in the order of their first; all of them where shares are equal. */
export function replicaPrograms(
  program: Program,
): readonly { readonly program: Program; readonly replicas: readonly number[] }[] {
  const shares = program.replicaShares ?? Array.from({ length: program.mesh.dp }, () => program.microBatchesPerStep);
  return [...new Set(shares)].map((share) => ({
    program: programOfShare(program, share),
    replicas: shares.flatMap((each, replica) => (each === share ? [replica] : [])),
  }));
}
