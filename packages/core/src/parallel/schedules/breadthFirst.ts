// Breadth-first: looped placement like interleaved 1F1B, but every micro-batch passes a chunk before the next chunk starts,
// so that sharded weights are gathered and gradients reduced once per chunk instead of once per micro-batch.

import { requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Order of arXiv 2211.05953 figure 4d. Stash m v chunks, as GPipe.
 * Bubble (p - 1) / (v m) (equation 6 there), which needs m >= p: with fewer micro-batches a rank waits for each one's way round.
 */
export const breadthFirst: ScheduleFamily = {
  name: "breadth-first",
  title: "Breadth-first",
  source: "arXiv 2211.05953, section 4",
  chunks: { min: 1 },
  splitBackward: false,
  check: requireCounts,
  build,
  bubbleFrac: ({ numRanks, numMicroBatches, numChunks }) =>
    numMicroBatches >= numRanks || numChunks === 1 ? (numRanks - 1) / (numChunks * numMicroBatches) : undefined,
};

function build({ numRanks, numMicroBatches, numChunks }: ScheduleRequest): Schedule {
  const total = numMicroBatches * numChunks;
  const lists = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(2 * total);
    for (let chunk = 0; chunk < numChunks; chunk++) {
      for (let i = 0; i < numMicroBatches; i++) push(list, "F", chunk, i);
    }
    for (let chunk = numChunks - 1; chunk >= 0; chunk--) {
      for (let i = 0; i < numMicroBatches; i++) push(list, "BW", chunk, i);
    }
    lists.push(list);
  }
  return assembleSchedule({
    name: breadthFirst.name,
    placement: loopPlacement(numRanks, numChunks),
    numMicroBatches,
    splitBackward: false,
    lists,
    stashBoundChunks: () => total,
  });
}
