// GPipe: all forwards, then all backwards, last micro-batch first.

import { requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Order of arXiv 1811.06965 figure 2c. Every rank stashes all m micro-batches.
 * Bubble (p - 1) / m of the busy time (section 2.3: O((K-1)/(M+K-1)) of the step).
 */
export const gpipe: ScheduleFamily = {
  name: "gpipe",
  title: "GPipe",
  source: "arXiv 1811.06965, figure 2c",
  chunks: { fixed: 1 },
  splitBackward: false,
  check: requireCounts,
  build,
  bubbleFrac: ({ numRanks, numMicroBatches }) => (numRanks - 1) / numMicroBatches,
};

function build({ numRanks, numMicroBatches }: ScheduleRequest): Schedule {
  const lists = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(2 * numMicroBatches);
    for (let i = 0; i < numMicroBatches; i++) push(list, "F", 0, i);
    for (let i = numMicroBatches - 1; i >= 0; i--) push(list, "BW", 0, i);
    lists.push(list);
  }
  return assembleSchedule({
    name: gpipe.name,
    placement: loopPlacement(numRanks, 1),
    numMicroBatches,
    splitBackward: false,
    lists,
    stashBoundChunks: () => numMicroBatches,
  });
}
