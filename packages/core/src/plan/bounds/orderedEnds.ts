// When each rank has finished its backwards and the reductions beside them, at the earliest, for the schedules whose order is known: 1F1B and interleaved 1F1B.
//
// Beyond pipelineBound.ts it sees the parameters that arrive at the start of a step and the gradients that leave at its end (zero1 with overlap):
//  - every rank gathers the parameters of its chunks in order from time 0, and the first forward of chunk c cannot end before they are there; before it
//    the rank runs no more than p forwards of each earlier chunk, everything else comes after;
//  - reductions begin in the last backward of a chunk, on one stream; after the start of chunk c's last backward the rank runs that backward and p more of each
//    earlier chunk, so it started no earlier than the rest of its work allows.
// Work before, the waiting, and work after are on one rank, so they add up.

import type { Body, Ending, Placement } from "../space/types.ts";
import type { EndingFloors } from "./endingFloors.ts";
import type { StageCut, StageTimes } from "./pipelineBound.ts";

export function orderedEnds(
  cut: StageCut,
  times: StageTimes,
  floors: EndingFloors,
  at: {
    readonly placement: Placement;
    readonly body: Body;
    readonly ending: Ending;
    readonly hopSec: Float64Array;
  },
): Float64Array {
  const { placement, body, ending, hopSec } = at;
  const { pp, numMicroBatches: m } = placement;
  const { forwardSec, backwardSec } = times;
  const numStages = forwardSec.length;
  const { starts } = cut;
  const each = ending.sharding === "zero2" || ending.sharding === "zero3";
  const arrives = (ending.sharding === "zero1" || ending.sharding === "zero2") && ending.overlapParamGather;
  // What a chunk's runs are followed by: p per group of micro-batches; with one chunk the first and the last run stand alone.
  const group = Math.min(pp, m);
  const ends = new Float64Array(pp);
  let startSec = 0;
  let drainSec = 0;
  let firstReduced = 0;
  for (let rank = 0; rank < pp; rank++) {
    let busy = 0;
    for (let s = rank; s < numStages; s += pp) {
      busy += m * (forwardSec[s]! + backwardSec[s]!);
      if (body.overlapP2p || pp === 1) continue;
      if (s > 0) busy += m * hopSec[(rank + pp - 1) % pp]!;
      if (s + 1 < numStages) busy += m * hopSec[rank]!;
    }
    // The first message is what the rank starts after.
    if (!body.overlapP2p && rank > 0) busy -= hopSec[rank - 1]!;
    let offset = startSec;
    if (arrives) {
      let arrived = 0;
      let before = 0;
      for (let s = rank; s < numStages; s += pp) {
        arrived += floors.gatherSec[starts[s + 1]!]! - floors.gatherSec[starts[s]!]!;
        // Messages that occupy the rank are part of its work before.
        const message = body.overlapP2p ? 0 : hopSec[(rank + pp - 1) % pp]!;
        offset = Math.max(offset, arrived - before - message - forwardSec[s]!);
        before += group * (message + forwardSec[s]!);
      }
    }
    let end = offset + busy + drainSec;
    let reduced = 0;
    let after = 0;
    for (let s = rank; s < numStages; s += pp) {
      reduced += floors.reduceSec[starts[s + 1]!]! - floors.reduceSec[starts[s]!]!;
      if (!each && ending.overlapGradReduce) {
        end = Math.max(end, offset + busy - after - backwardSec[s]! + reduced);
        after += group * backwardSec[s]!;
        if (!body.overlapP2p && pp > 1) after += group * hopSec[rank]!;
      }
    }
    // The rank reduces when it has finished; those that drain after it, down to rank 0, reduce their own.
    if (rank === 0) firstReduced = reduced;
    if (!each && !ending.overlapGradReduce) end = Math.max(offset + busy + reduced, end + firstReduced);
    if (each && ending.overlapGradReduce) end = Math.max(end, m * reduced);
    ends[rank] = end;
    // The first micro-batch reaches the next rank when this one has run it, with its parameters there.
    const first = floors.gatherSec[starts[rank + 1]!]! - floors.gatherSec[starts[rank]!]!;
    startSec = Math.max(startSec + forwardSec[rank]!, arrives ? first : 0) + hopSec[rank]!;
    drainSec += backwardSec[rank]! + hopSec[rank]!;
  }
  return ends;
}
