// The growing action list of one rank, and the last step of every builder: lists + placement -> Schedule.
// Builders know how many actions a rank gets, so the list is one typed array filled in place.

import { assert } from "../../units/errors.ts";
import type { Placement } from "./placement.ts";
import { type ActionKind, encodeAction, type Schedule } from "./types.ts";

export interface RankActions {
  readonly codes: Int32Array;
  length: number;
}

export function rankActions(capacity: number): RankActions {
  return { codes: new Int32Array(capacity), length: 0 };
}

export function push(list: RankActions, kind: ActionKind, chunk: number, microBatch: number): void {
  list.codes[list.length++] = encodeAction(kind, chunk, microBatch);
}

export interface ScheduleParts {
  readonly name: string;
  readonly placement: Placement;
  readonly numMicroBatches: number;
  /** One list per replica; all micro-batches when absent. */
  readonly microBatchesOf?: readonly (readonly number[])[];
  readonly splitBackward: boolean;
  readonly lists: readonly RankActions[];
  readonly overlapped?: readonly Uint8Array[];
  readonly stashBoundChunks: (rank: number) => number;
}

export function assembleSchedule(parts: ScheduleParts): Schedule {
  const { placement, numMicroBatches } = parts;
  const all = Array.from({ length: numMicroBatches }, (_, i) => i);
  for (const [rank, list] of parts.lists.entries()) {
    assert(
      list.length === list.codes.length,
      `${parts.name}: rank ${rank} has ${list.length} of ${list.codes.length} actions`,
    );
  }
  return {
    name: parts.name,
    numRanks: placement.numRanks,
    numChunks: placement.numChunks,
    numMicroBatches,
    numStages: placement.numStages,
    stageOf: placement.stageOf,
    replicas: placement.replicas,
    replicaOf: placement.replicaOf,
    microBatchesOf: parts.microBatchesOf ?? [all],
    splitBackward: parts.splitBackward,
    actions: parts.lists.map((list) => list.codes),
    ...(parts.overlapped === undefined ? {} : { overlapped: parts.overlapped }),
    stashBoundChunks: parts.stashBoundChunks,
  };
}
