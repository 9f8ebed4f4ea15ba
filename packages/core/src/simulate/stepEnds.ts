// What a pipeline rank waits for or spends outside its actions: gradient reductions still running after its last backward, parameters still
// arriving at its first forward, gradients of a second copy of its stages, and its messages.

import { groupPlacement } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import { queryCost } from "../cost/priceOps.ts";
import { rankOf } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import type { ActionVariants } from "./actionDurations.ts";
import type { PipelineTimeline } from "./pipeline/index.ts";
import type { StageActions } from "./stageActions.ts";
import { SHARES } from "./streams/streamOps.ts";
import type { transferSeconds } from "./transfers.ts";

/** When a rank has finished its last backward and drained the reductions that ran beside it, and how much of that was waiting for them. */
export function flushOf(
  timeline: PipelineTimeline,
  lastGradient: Int32Array,
  rank: number,
  cost: StageActions["cost"],
  lastDiffers: boolean,
): { readonly readySec: number; readonly spillSec: number } {
  const { schedule, endSec, graph } = timeline;
  const kind = schedule.splitBackward ? "W" : "BW";
  const end = endSec[graph.offsets[rank + 1]! - 1]!;
  const chunks = Array.from({ length: schedule.numChunks }, (_, chunk) => ({
    stage: schedule.stageOf[rank]![chunk]!,
    action: lastGradient[rank * schedule.numChunks + chunk]!,
  })).filter(({ action }) => action >= 0);
  chunks.sort((a, b) => a.action - b.action);
  // Reductions of the chunks follow each other on one stream: a chunk's begin when its gradients are there and the stream is free.
  let freeSec = 0;
  for (const { stage, action } of chunks) {
    const { spillSec, busy } = cost(stage, kind, lastDiffers ? "once" : "plain");
    const ownSec = lastDiffers ? busy[SHARES.indexOf("dp")]! : 0;
    freeSec = Math.max(endSec[action]! + spillSec, freeSec + ownSec);
  }
  const readySec = Math.max(end, freeSec);
  return { readySec, spillSec: readySec - end };
}

/** Seconds that first forwards waited for their parameters. */
export function heldSeconds(timeline: PipelineTimeline, variants: ActionVariants, rank: number): number {
  const { numChunks, overlapped } = timeline.schedule;
  let sec = 0;
  for (let chunk = 0; chunk < numChunks; chunk++) {
    const action = variants.firstForward[rank * numChunks + chunk]!;
    if (action < 0 || overlapped !== undefined) continue;
    sec += Math.max(0, timeline.endSec[action]! - timeline.startSec[action]! - variants.perActionSec[action]!);
  }
  return sec;
}

/** Two holders of the same stages (bidirectional schedules) sum their gradients. */
export function replicaSyncSeconds(
  program: Program,
  cluster: ClusterSpec,
  rank: number,
  gradientBytesOf: (stage: number) => number,
): number {
  const { schedule, mesh } = program;
  if (schedule.replicas < 2) return 0;
  let sec = 0;
  schedule.stageOf[rank]!.forEach((stage, chunk) => {
    const mine = schedule.replicaOf[rank]![chunk]!;
    const other = schedule.stageOf.findIndex((stages, r) =>
      stages.some((s, c) => s === stage && schedule.replicaOf[r]![c] !== mine),
    );
    if (other < 0 || other === rank) return;
    const at = (pp: number) => rankOf(mesh, { tp: 0, cp: 0, dp: 0, pp });
    const spans = groupPlacement(cluster, [at(rank), at(other)]).spans;
    sec += queryCost(cluster, {
      kind: "collective",
      op: "allReduce",
      sizeBytes: gradientBytesOf(stage),
      spans,
      algorithm: "auto",
      backend: "nccl",
    }).durationSec;
  });
  return sec;
}

/** Seconds of messages a rank sends and receives, hidden or not. */
export function messageSeconds(
  program: Program,
  timeline: PipelineTimeline,
  rank: number,
  transferSec: ReturnType<typeof transferSeconds>,
): number {
  const { schedule } = program;
  if (schedule.numRanks === 1) return 0;
  let sec = 0;
  schedule.stageOf[rank]!.forEach((stage, chunk) => {
    const numMicroBatches = schedule.microBatchesOf[schedule.replicaOf[rank]![chunk]!]!.length;
    for (const direction of ["forward", "backward"] as const) {
      const next = direction === "forward" ? stage + 1 : stage - 1;
      if (next < 0 || next >= schedule.numStages) continue;
      const toRank = schedule.stageOf.findIndex((stages, r) =>
        stages.some((s, c) => s === next && schedule.replicaOf[r]![c] === schedule.replicaOf[rank]![chunk]),
      );
      if (toRank !== rank)
        sec += numMicroBatches * transferSec({ fromRank: rank, toRank, fromStage: stage, direction });
    }
  });
  return Math.min(sec, timeline.makespanSec);
}
