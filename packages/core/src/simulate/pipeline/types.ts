// What the pipeline engine takes and gives. All tables that depend on (rank, chunk, kind) are flat:
// index = (rank * numChunks + chunk) * 4 + kind, kind 0 F, 1 B, 2 W, 3 BW (`tableIndex`).

import type { ActionGraph, ActionKind, Schedule } from "../../parallel/schedules/index.ts";

/** A message between two stages on different ranks: activations forward, their gradients backward. */
export interface StageBoundary {
  readonly fromRank: number;
  readonly toRank: number;
  /** Stage that sends. */
  readonly fromStage: number;
  readonly direction: "forward" | "backward";
}

export interface PipelineInput {
  readonly schedule: Schedule;
  /** Seconds of each action: a table by (rank, chunk, kind), exceptions for single micro-batches, or one entry per action (noise). */
  readonly durations:
    | {
        readonly tableSec: Float64Array;
        /** First or last micro-batches that differ: their own full tables. */
        readonly overrides?: readonly { readonly microBatch: number; readonly tableSec: Float64Array }[];
      }
    | { readonly perActionSec: Float64Array };
  /** Seconds one message takes; 0 when absent. Stages on the same rank pass values for free. */
  readonly transferSec?: number | ((boundary: StageBoundary) => number);
  /**
   * true (default): messages travel beside compute; one link direction carries one message at a time.
   * false: a send and the receive that follows it are one batched call that occupies the rank (Megatron without overlap_p2p_comm).
   */
  readonly overlapP2p?: boolean;
  /** Seconds of an overlapped F and B (or BW) pair, given the two durations; their sum when absent. */
  readonly pairSec?: (pair: OverlappedPair) => number;
  /** When each rank may start its first action; 0 when absent. */
  readonly rankReadySec?: Float64Array;
  /**
   * Per action: it ends no sooner than this, because its last part waits for something outside the schedule (parameters still being gathered). The
   * waiting counts as idle, not as busy. Overlapped pairs do not look at it.
   */
  readonly earliestEndSec?: Float64Array;
}

export interface OverlappedPair {
  readonly rank: number;
  readonly forwardChunk: number;
  readonly backwardChunk: number;
  readonly forwardSec: number;
  readonly backwardSec: number;
}

export interface PipelineTimeline {
  readonly schedule: Schedule;
  /** Numbers the actions: those of rank r are graph.offsets[r] .. graph.offsets[r+1]-1. */
  readonly graph: ActionGraph;
  readonly startSec: Float64Array;
  readonly endSec: Float64Array;
  readonly overlapP2p: boolean;
  /** From 0 to the end of the last action. */
  readonly makespanSec: number;
  /** Largest time from first start to last end over ranks: the step time when the next step need not wait for all ranks. */
  readonly spanSec: number;
  /** Per rank, compute; a pair counts once. */
  readonly busySec: Float64Array;
  /** Per rank, waiting for a message whose producer has finished, or occupied by sends and receives. */
  readonly transferWaitSec: Float64Array;
  /** Per rank, the rest of the makespan: the bubble. */
  readonly idleSec: Float64Array;
}

const kindIndex: Record<ActionKind, number> = { F: 0, B: 1, W: 2, BW: 3 };
const kinds: readonly ActionKind[] = ["F", "B", "W", "BW"];

export function tableIndex(schedule: Schedule, rank: number, chunk: number, kind: ActionKind): number {
  return (rank * schedule.numChunks + chunk) * 4 + kindIndex[kind];
}

/** A table by (rank, chunk, kind), filled once from a function. */
export function actionTable(
  schedule: Schedule,
  valueAt: (at: {
    readonly rank: number;
    readonly chunk: number;
    readonly stage: number;
    readonly kind: ActionKind;
  }) => number,
): Float64Array {
  const table = new Float64Array(schedule.numRanks * schedule.numChunks * 4);
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    for (let chunk = 0; chunk < schedule.numChunks; chunk++) {
      const stage = schedule.stageOf[rank]![chunk]!;
      for (const kind of kinds) table[tableIndex(schedule, rank, chunk, kind)] = valueAt({ rank, chunk, stage, kind });
    }
  }
  return table;
}
