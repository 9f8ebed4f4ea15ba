// The chain of actions that decides the makespan, walked back from the last end: each action was held up either by its rank's
// previous action or by the message it needed. Where both bind at once the rank's own order is named.

import type { PipelineTimeline } from "./types.ts";

export interface CriticalPath {
  /** Action indices in time order. */
  readonly actions: Int32Array;
  /** Compute on the path; the rest of the makespan is transfer and the ranks' ready times. */
  readonly computeSec: number;
  readonly transferSec: number;
  /** Seconds of the makespan before the first action of the path. */
  readonly leadSec: number;
}

/** @param from the rank whose last action the path leads to; the one that ends last when absent. */
export function criticalPath(timeline: PipelineTimeline, from?: number): CriticalPath {
  const { schedule, graph, startSec, endSec, overlapP2p } = timeline;
  const { offsets, needs, rankOf } = graph;
  let at = from === undefined ? -1 : offsets[from + 1]! - 1;
  for (let rank = 0; rank < schedule.numRanks && from === undefined; rank++) {
    const last = offsets[rank + 1]! - 1;
    if (last >= offsets[rank]! && (at < 0 || endSec[last]! > endSec[at]!)) at = last;
  }
  const path: number[] = [];
  let computeSec = 0;
  let transferSec = 0;
  let leadSec = 0;
  while (at >= 0) {
    path.push(at);
    computeSec += endSec[at]! - startSec[at]!;
    const rank = rankOf[at]!;
    const first = offsets[rank]!;
    const flags = schedule.overlapped?.[rank];
    // A pair starts together: its own order binds nothing, either message may.
    const head = flags !== undefined && at > first && flags[at - 1 - first] === 1 ? at - 1 : at;
    const tail = flags !== undefined && flags[head - first] === 1 ? head + 1 : head;
    const previous = head > first ? head - 1 : -1;
    const freeSec = previous < 0 ? 0 : endSec[previous]!;
    let producer = needs[head]!;
    if (tail !== head && needs[tail]! >= 0 && (producer < 0 || endSec[needs[tail]!]! > endSec[producer]!))
      producer = needs[tail]!;
    const waited = producer >= 0 && (overlapP2p ? startSec[at]! > freeSec : endSec[producer]! > freeSec);
    const next = waited ? producer : previous;
    const gapSec = startSec[at]! - (next < 0 ? 0 : endSec[next]!);
    if (next < 0) leadSec = gapSec;
    else transferSec += gapSec;
    at = next;
  }
  return { actions: Int32Array.from(path.reverse()), computeSec, transferSec, leadSec };
}
