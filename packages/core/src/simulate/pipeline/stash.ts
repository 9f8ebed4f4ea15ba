// Memory that follows the pipeline's order: activations stashed by F, released by B and W, and what an action needs while it runs.
// A rank runs in order, so its actions in list order are its events in time order; only an overlapped pair needs care: both its
// actions allocate before either releases.

import type { PipelineTimeline } from "./types.ts";

/** Bytes per action, tables by (rank, chunk, kind) as `tableIndex` numbers them. */
export interface StashDeltas {
  /** Change of held bytes at the start: F's stash, the gradient B keeps for W. */
  readonly atStartBytes: Float64Array;
  /** Change at the end, negative for what is released: the part of the stash B or BW frees, what W frees. */
  readonly atEndBytes: Float64Array;
  /** Held only while the action runs. */
  readonly transientBytes: Float64Array;
}

export interface StashPeak {
  /** Per rank. */
  readonly peakBytes: Float64Array;
  /** Per rank, index of the action that runs at the peak (the earliest such); -1 on a rank without actions. */
  readonly peakAction: Int32Array;
  /** Per rank, held after the last action: 0 when everything stashed is released. */
  readonly finalBytes: Float64Array;
}

/** Peak of the stash on every rank. O(actions). */
export function stashTimeline(timeline: PipelineTimeline, deltas: StashDeltas): StashPeak {
  const { numRanks } = timeline.schedule;
  const result: StashPeak = {
    peakBytes: new Float64Array(numRanks),
    peakAction: new Int32Array(numRanks).fill(-1),
    finalBytes: new Float64Array(numRanks),
  };
  for (let rank = 0; rank < numRanks; rank++) walkRank(timeline, deltas, rank, result, null);
  return result;
}

export interface StashSeries {
  /** Never falling; two entries per action (or overlapped pair): its start and its end. */
  readonly timeSec: Float64Array;
  /** Held bytes from this time on. */
  readonly bytes: Float64Array;
}

/** Held bytes of one rank over time: at each start with the transient, at each end without. */
export function stashSeries(timeline: PipelineTimeline, deltas: StashDeltas, rank: number): StashSeries {
  const { numRanks } = timeline.schedule;
  const numActions = timeline.graph.offsets[rank + 1]! - timeline.graph.offsets[rank]!;
  const timeSec = new Float64Array(2 * numActions);
  const bytes = new Float64Array(2 * numActions);
  const series = { timeSec, bytes, length: 0 };
  const peak = {
    peakBytes: new Float64Array(numRanks),
    peakAction: new Int32Array(numRanks),
    finalBytes: new Float64Array(numRanks),
  };
  walkRank(timeline, deltas, rank, peak, series);
  return { timeSec: timeSec.subarray(0, series.length), bytes: bytes.subarray(0, series.length) };
}

interface SeriesWriter {
  readonly timeSec: Float64Array;
  readonly bytes: Float64Array;
  length: number;
}

function walkRank(
  timeline: PipelineTimeline,
  deltas: StashDeltas,
  rank: number,
  into: StashPeak,
  series: SeriesWriter | null,
): void {
  const { schedule, graph, startSec, endSec } = timeline;
  const { offsets, codes } = graph;
  const { atStartBytes, atEndBytes, transientBytes } = deltas;
  const base = rank * schedule.numChunks * 4;
  const flags = schedule.overlapped?.[rank];
  const first = offsets[rank]!;
  let held = 0;
  let peak = Number.NEGATIVE_INFINITY;
  for (let a = first; a < offsets[rank + 1]!; ) {
    const width = flags !== undefined && flags[a - first] === 1 ? 2 : 1;
    let running = 0;
    for (let i = a; i < a + width; i++) {
      held += atStartBytes[base + (codes[i]! & 1023)]!;
      running += transientBytes[base + (codes[i]! & 1023)]!;
    }
    if (held + running > peak) {
      peak = held + running;
      into.peakAction[rank] = a;
    }
    if (series !== null) append(series, startSec[a]!, held + running);
    for (let i = a; i < a + width; i++) held += atEndBytes[base + (codes[i]! & 1023)]!;
    if (series !== null) append(series, endSec[a]!, held);
    a += width;
  }
  into.peakBytes[rank] = peak === Number.NEGATIVE_INFINITY ? 0 : peak;
  into.finalBytes[rank] = held;
}

/** Instants may repeat (an end and the next start): the last value at an instant is the one that holds. */
function append(series: SeriesWriter, timeSec: number, bytes: number): void {
  series.timeSec[series.length] = timeSec;
  series.bytes[series.length++] = bytes;
}
