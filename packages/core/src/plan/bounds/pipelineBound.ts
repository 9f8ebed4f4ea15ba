// A lower bound of the pipeline's end on each rank, from floors of its stages, for any order of actions.
//
// A rank runs all its actions one after another. Before the first of them its first stage needs the forwards of all stages before it; after the last
// of them those stages still have a backward to run. So
//   end of the pipeline >= m x busy(r) + sum over stages before r's first of (F + B + both messages)          for every rank r.
// With equal stages, rank p - 1 gives (m + (p - 1) / v) (F + B): what 1F1B and interleaved 1F1B reach (arXiv 2104.04473, section 2.2).
// Where backward is split, weight gradients may come last, and only the forwards before the first action are left.

import { dealLayers } from "../../parallel/lower/index.ts";
import { scheduleFamily } from "../../parallel/schedules/index.ts";
import { stageCount } from "../space/enumerate.ts";
import type { Body, Placement } from "../space/types.ts";
import { leadSec, stageSec } from "./kindFloors.ts";
import type { StageFloors } from "./stageFloors.ts";

/** Stages of a body by position in the model: stage s holds [starts[s], starts[s + 1]). */
export interface StageCut {
  readonly starts: Int32Array;
  readonly numLayers: Int32Array;
  /** Layers before each stage. */
  readonly layersBefore: Int32Array;
  /** Rank that holds each stage, or -1 where two directions share the stages of a schedule. */
  readonly rankAt: Int32Array;
  /** First stage with the same blocks as each: whatever is summed over a stage's blocks is worked out there. */
  readonly sameAs: Int32Array;
}

/** How loop-shaped and V-shaped schedules place their stages; the others are bounded by the average over ranks. */
export function cutStages(numLayers: number, floors: StageFloors, pp: number, body: Body): StageCut {
  const { schedule, numChunks, vocabOverStages } = body;
  const layerStages = stageCount(schedule, pp, vocabOverStages ? numChunks - 1 : numChunks);
  const counts = dealLayers(numLayers, layerStages, body.balanceEmbedding);
  const starts = new Int32Array(layerStages + 1);
  const rankAt = new Int32Array(layerStages);
  const layersBefore = new Int32Array(layerStages);
  let layer = 0;
  for (let s = 0; s < layerStages; s++) {
    // What stands between two layers (a decoder's embedding) belongs to the later one.
    starts[s] = s === 0 ? 0 : layer === 0 ? floors.layerAt[0]! : floors.layerAt[layer - 1]! + 1;
    layersBefore[s] = layer;
    layer += counts[s]!;
    rankAt[s] = placeOf(schedule, pp, s);
  }
  // A head spread over the ranks is left out.
  starts[layerStages] = vocabOverStages ? floors.layerAt[numLayers - 1]! + 1 : floors.numBlocks;
  return { starts, numLayers: Int32Array.from(counts), layersBefore, rankAt, sameAs: equalStages(starts, floors) };
}

function equalStages(starts: Int32Array, { blockAt }: StageFloors): Int32Array {
  const sameAs = new Int32Array(starts.length - 1);
  const first = new Map<string, number>();
  for (let s = 0; s < sameAs.length; s++) {
    const key = blockAt.subarray(starts[s]!, starts[s + 1]!).join();
    const same = first.get(key) ?? s;
    if (same === s) first.set(key, s);
    sameAs[s] = same;
  }
  return sameAs;
}

function placeOf(schedule: string, pp: number, stage: number): number {
  switch (schedule) {
    case "gpipe":
    case "1f1b":
    case "interleaved":
    case "breadth-first":
    case "zb-h1":
    case "zb-h2":
      return stage % pp;
    default:
      return -1;
  }
}

export interface StageTimes {
  readonly forwardSec: Float64Array;
  /** Input and weight gradients together. */
  readonly backwardSec: Float64Array;
  /** The part of it that is weight gradients, where backward is split. */
  readonly weightSec: Float64Array;
}

/**
 * Floors of each stage's forward and backward. With a partial keep the first layers of each chunk are those of `floors`, the rest of `rest`.
 */
export function stageTimes(
  cut: StageCut,
  at: {
    readonly floors: StageFloors;
    readonly rest: StageFloors | null;
    readonly numRecomputed: number;
    readonly clockFrac: number;
  },
): StageTimes {
  const { floors, rest, numRecomputed, clockFrac } = at;
  const numStages = cut.rankAt.length;
  const forwardSec = new Float64Array(numStages);
  const backwardSec = new Float64Array(numStages);
  for (let s = 0; s < numStages; s++) {
    const same = cut.sameAs[s]!;
    if (same < s) {
      forwardSec[s] = forwardSec[same]!;
      backwardSec[s] = backwardSec[same]!;
      continue;
    }
    const from = cut.starts[s]!;
    const to = cut.starts[s + 1]!;
    const border = rest === null ? to : borderOf(cut, floors, s, numRecomputed);
    if (rest === null || border >= to) {
      forwardSec[s] = stageSec(floors, "F", from, to, clockFrac);
      backwardSec[s] = stageSec(floors, "BW", from, to, clockFrac);
    } else {
      forwardSec[s] = leadSec(floors, "F", from, border, clockFrac) + stageSec(rest, "F", border, to, clockFrac);
      backwardSec[s] = leadSec(rest, "BW", border, to, clockFrac) + stageSec(floors, "BW", from, border, clockFrac);
    }
  }
  return { forwardSec, backwardSec, weightSec: new Float64Array(numStages) };
}

/** Whether two ranks hold equal stages in the same order. */
export function ranksAlike({ sameAs }: StageCut, a: number, b: number, pp: number): boolean {
  for (let chunk = 0; chunk < sameAs.length; chunk += pp) if (sameAs[chunk + a] !== sameAs[chunk + b]) return false;
  return true;
}

/** Position after the recomputed layers of a stage. */
export function borderOf(cut: StageCut, floors: StageFloors, stage: number, numRecomputed: number): number {
  const before = cut.layersBefore[stage]!;
  const count = Math.min(numRecomputed, cut.numLayers[stage]!);
  return count === 0 ? cut.starts[stage]! : floors.layerAt[before + count - 1]! + 1;
}

/**
 * @param hopSec seconds of a message from rank r to the next (the last one: back to rank 0).
 * @returns per rank, the earliest end of the pipeline that its work allows.
 */
export function pipelineEnds(
  cut: StageCut,
  times: StageTimes,
  at: { readonly placement: Placement; readonly body: Body; readonly hopSec: Float64Array },
): Float64Array {
  const { placement, body, hopSec } = at;
  const { pp, numMicroBatches: m } = placement;
  const { rankAt } = cut;
  const numStages = rankAt.length;
  const { forwardSec, backwardSec } = times;
  const ends = new Float64Array(pp);
  let total = 0;
  for (let s = 0; s < numStages; s++) total += forwardSec[s]! + backwardSec[s]!;
  if (rankAt[0]! < 0) return ends.fill((m * total) / pp);
  for (let s = 0; s < numStages; s++) {
    const rank = rankAt[s]!;
    ends[rank]! += m * (forwardSec[s]! + backwardSec[s]!);
    // Messages that occupy the rank: each action waits for its own to arrive after the rank is free.
    if (!body.overlapP2p && pp > 1) {
      if (s > 0) ends[rank]! += m * hopSec[(rank + pp - 1) % pp]!;
      if (s + 1 < numStages) ends[rank]! += m * hopSec[rank]!;
    }
  }
  const drains = !scheduleFamily(body.schedule).splitBackward;
  let before = 0;
  for (let rank = 0; rank < pp; rank++) {
    ends[rank]! += before;
    // The first message is what the rank starts after.
    if (!body.overlapP2p && rank > 0) ends[rank]! -= hopSec[rank - 1]!;
    before += forwardSec[rank]! + hopSec[rank]! + (drains ? backwardSec[rank]! + hopSec[rank]! : 0);
  }
  return ends;
}

/** Sum over the blocks of a rank; over the mean rank where stages are shared by two. */
export function rankSum(cut: StageCut, prefix: Float64Array, rank: number, pp: number): number {
  if (cut.rankAt[0]! < 0) return prefix[cut.starts.at(-1)!]! / pp;
  let sum = 0;
  for (let s = rank; s < cut.rankAt.length; s += pp) sum += prefix[cut.starts[s + 1]!]! - prefix[cut.starts[s]!]!;
  return sum;
}
