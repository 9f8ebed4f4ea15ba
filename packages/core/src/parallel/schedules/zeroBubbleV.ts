// ZB-V: each rank holds a stage going down and one coming back (V placement), so rank 0 has both ends of the model and the first B
// comes back early. Zero bubble for F = B = W, with 1F1B's peak memory on every rank.
//
// Written out as the paper's appendix draws it: forwards of chunk 0 until the first micro-batch returns, alternate chunks until
// chunk 1's backward begins, then F B W of both chunks in turn, and W last.

import { costsOf, requireCounts } from "./admissible.ts";
import { wavePlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { ActionKind, Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/** Stash 2p chunks of half a rank. Zero bubble for F = B = W, free sends, m >= 2p - 1, each rank counted from its own start to its end. */
export const zeroBubbleV: ScheduleFamily = {
  name: "zb-v",
  title: "ZB-V",
  source: "arXiv 2405.15362, section 4 (V-ZB); arXiv 2401.10241, section 6",
  chunks: { fixed: 2 },
  splitBackward: true,
  check: requireCounts,
  build,
  spanBubbleFrac: (request) => {
    const { F, B, W } = costsOf(request);
    return F === B && B === W && request.numMicroBatches >= 2 * request.numRanks - 1 ? 0 : undefined;
  },
};

function build({ numRanks, numMicroBatches }: ScheduleRequest): Schedule {
  const lists = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(6 * numMicroBatches);
    // The pattern needs 2p - 1 micro-batches; with fewer, the actions of the missing ones are left out.
    const count = Math.max(2 * numRanks - 1, numMicroBatches);
    const next: Record<ActionKind, [number, number]> = { F: [0, 0], B: [0, 0], W: [0, 0], BW: [0, 0] };
    const run = (kind: ActionKind, chunk: 0 | 1) => {
      const microBatch = next[kind][chunk]++;
      if (microBatch < numMicroBatches) push(list, kind, chunk, microBatch);
    };
    for (let i = 0; i < 2 * (numRanks - rank) - 1; i++) run("F", 0);
    for (let i = 0; i < rank; i++) {
      run("F", 1);
      run("F", 0);
    }
    for (let i = 0; i < numRanks - rank; i++) {
      run("F", 1);
      run("B", 1);
      run("W", 1);
    }
    while (next.F[1] < next.F[0] || next.F[0] < count) {
      if (next.F[0] < count) run("F", 0);
      run("B", 0);
      run("W", 0);
      run("F", 1);
      run("B", 1);
      run("W", 1);
    }
    for (let i = 0; i < rank; i++) {
      run("B", 0);
      run("B", 1);
    }
    for (let i = 0; i < numRanks - rank; i++) {
      run("B", 0);
      run("W", 0);
    }
    while (next.W[1] < next.B[1]) run("W", 1);
    while (next.W[0] < next.B[0]) run("W", 0);
    lists.push(list);
  }
  return assembleSchedule({
    name: zeroBubbleV.name,
    placement: wavePlacement(numRanks, 2),
    numMicroBatches,
    splitBackward: true,
    lists,
    stashBoundChunks: () => Math.min(2 * numRanks, 2 * numMicroBatches),
  });
}
