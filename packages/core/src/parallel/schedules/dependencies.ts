// What an action waits for, as one flat array over all ranks: the shared ground of the deadlock check and of the event engine.
//
// Ranks run in order, so of the data dependencies (F of the stage before; B of the stage after and own F; W's own B) only one
// can cross ranks or chunks: F(s) needs F(s-1), B(s) needs B(s+1). The others hold by the order of the rank's list, which
// `checkSchedule` proves. Each action is thus needed by at most one other: no adjacency lists, no heap.

import { assert } from "../../units/errors.ts";
import type { Schedule } from "./types.ts";

export interface ActionGraph {
  /** Actions of rank r are offsets[r] .. offsets[r+1]-1, in order. */
  readonly offsets: Int32Array;
  /** All actions, encoded, rank after rank. */
  readonly codes: Int32Array;
  /** Rank of each action. */
  readonly rankOf: Int32Array;
  /** Index of the action whose output this one needs, or -1. */
  readonly needs: Int32Array;
}

const known = new WeakMap<Schedule, ActionGraph>();

/** The graph of a schedule, built once: a search simulates one schedule under many durations. */
export function actionGraph(schedule: Schedule): ActionGraph {
  let graph = known.get(schedule);
  if (graph === undefined) {
    graph = buildGraph(schedule);
    known.set(schedule, graph);
  }
  return graph;
}

/** O(actions). Assumes every (micro-batch, stage) has one forward and one input-gradient action; `checkSchedule` finds violations. */
function buildGraph(schedule: Schedule): ActionGraph {
  const { numRanks, numStages, numMicroBatches, numChunks } = schedule;
  assert(numStages * numMicroBatches < 2 ** 30, `${numStages} stages x ${numMicroBatches} micro-batches fit an index`);
  const offsets = new Int32Array(numRanks + 1);
  for (let rank = 0; rank < numRanks; rank++) offsets[rank + 1] = offsets[rank]! + schedule.actions[rank]!.length;
  const total = offsets[numRanks]!;
  const codes = new Int32Array(total);
  const rankOf = new Int32Array(total);
  const stageTable = new Int32Array(numRanks * numChunks);
  for (let rank = 0; rank < numRanks; rank++) {
    codes.set(schedule.actions[rank]!, offsets[rank]!);
    rankOf.fill(rank, offsets[rank]!, offsets[rank + 1]!);
    for (let chunk = 0; chunk < numChunks; chunk++)
      stageTable[rank * numChunks + chunk] = schedule.stageOf[rank]![chunk]!;
  }
  // forwardAt[stage m + i] and backwardAt[...]: index of the action, plus 1 so that 0 means none.
  const forwardAt = new Int32Array(numStages * numMicroBatches);
  const backwardAt = new Int32Array(numStages * numMicroBatches);
  for (let a = 0; a < total; a++) {
    const code = codes[a]!;
    const kind = code & 3;
    if (kind === 2) continue;
    const slot = stageTable[rankOf[a]! * numChunks + ((code >> 2) & 255)]! * numMicroBatches + (code >> 10);
    if (kind === 0) forwardAt[slot] = a + 1;
    else backwardAt[slot] = a + 1;
  }
  const needs = new Int32Array(total).fill(-1);
  for (let a = 0; a < total; a++) {
    const code = codes[a]!;
    const kind = code & 3;
    if (kind === 2) continue;
    const stage = stageTable[rankOf[a]! * numChunks + ((code >> 2) & 255)]!;
    const microBatch = code >> 10;
    if (kind === 0) {
      if (stage > 0) needs[a] = forwardAt[(stage - 1) * numMicroBatches + microBatch]! - 1;
    } else if (stage < numStages - 1) {
      needs[a] = backwardAt[(stage + 1) * numMicroBatches + microBatch]! - 1;
    }
  }
  return { offsets, codes, rankOf, needs };
}
