// What a pipeline rank waits for or spends outside its actions: gradient reductions still running after its last backward, parameters still
// arriving at its first forward, gradients of a second copy of its stages, and its messages.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Program } from "../parallel/program.ts";
import type { ActionVariants } from "./actionDurations.ts";
import type { PipelineTimeline } from "./pipeline/index.ts";
import type { StageActions } from "./stageActions.ts";
import type { BlockPrices } from "./streams/blockPrices.ts";
import { buildPhase, type PhasePart } from "./streams/buildAction.ts";
import { type ActionCost, emptyAction, simulateBuilt } from "./streams/simulateAction.ts";
import { pairSeconds, type transferSeconds } from "./transfers.ts";

/** When a rank has finished its last backward and drained the reductions that ran beside it, and how much of that was waiting for them. */
export function flushOf(
  timeline: PipelineTimeline,
  once: Uint8Array,
  rank: number,
  cost: StageActions["cost"],
  onceDiffers: boolean,
): { readonly readySec: number; readonly spillSec: number } {
  const { schedule, endSec, graph } = timeline;
  const kind = schedule.splitBackward ? 2 : 3;
  const first = graph.offsets[rank]!;
  const actions = schedule.actions[rank]!;
  const costs = schedule.stageOf[rank]!.map((stage) =>
    cost(stage, kind === 2 ? "W" : "BW", onceDiffers ? "once" : "plain"),
  );
  // Reductions follow each other on one stream: an action's begin when its gradients are there and the stream is free. Where they take longer than
  // what they run beside, they fall behind, and the end waits for all of it.
  let freeSec = 0;
  for (let i = 0; i < actions.length; i++) {
    const slot = actions[i]! & 1023;
    if ((slot & 3) !== kind) continue;
    const chunk = slot >> 2;
    if (onceDiffers && once[first + i] === 0) continue;
    const { spillSec, reduceSec } = costs[chunk]!;
    freeSec = Math.max(endSec[first + i]! + spillSec, freeSec + reduceSec);
  }
  const end = endSec[graph.offsets[rank + 1]! - 1]!;
  const readySec = Math.max(end, freeSec);
  return { readySec, spillSec: readySec - end };
}

/** What the step waited for after the last backward, shared among the rank's reductions; they were counted with the actions that started them. */
export function flushCost(
  prices: BlockPrices,
  at: { readonly rank: number; readonly spillSec: number; readonly computeFloor: number },
): ActionCost {
  const { stages, schedule } = prices.program;
  const parts = schedule.stageOf[at.rank]!.flatMap((stage) =>
    stages[stage]!.uses.map((use): PhasePart => ({ block: use.block, list: "reduce" })),
  );
  const all = simulateBuilt(buildPhase(prices, parts), at);
  if (all.durationSec === 0) return emptyAction;
  const waited = at.spillSec / all.durationSec;
  const ops = [...all.ops].map(
    ([name, op]) =>
      [
        name,
        { ...op, count: 0, durationSec: 0, workFlops: 0, sizeBytes: 0, exposedSec: op.exposedSec * waited },
      ] as const,
  );
  const sources = [...all.sources].map(
    ([name, { sec, stdSec }]) => [name, { sec: sec * waited, stdSec: stdSec * waited }] as const,
  );
  return { ...emptyAction, ops: new Map(ops), sources: new Map(sources) };
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
  replica = 0,
): number {
  const { schedule } = program;
  if (schedule.replicas < 2) return 0;
  let sec = 0;
  schedule.stageOf[rank]!.forEach((stage, chunk) => {
    const mine = schedule.replicaOf[rank]![chunk]!;
    const other = schedule.stageOf.findIndex((stages, r) =>
      stages.some((s, c) => s === stage && schedule.replicaOf[r]![c] !== mine),
    );
    if (other < 0 || other === rank) return;
    const ends = { program, replica, ranks: [rank, other] } as const;
    sec += pairSeconds(cluster, ends, { op: "allReduce", sizeBytes: gradientBytesOf(stage) });
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
