// 1F1B (PipeDream-Flush, DAPPLE): as few forwards ahead as the pipeline needs, then one forward, one backward in turn.

import { requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Order of Megatron-LM's `forward_backward_pipelining_without_interleaving`: rank r runs p - r - 1 forwards ahead.
 * Stash min(p - r, m); bubble (p - 1) / m as GPipe (arXiv 2104.04473 section 2.2.1).
 */
export const oneFOneB: ScheduleFamily = {
  name: "1f1b",
  title: "1F1B",
  source: "arXiv 2006.09503 (PipeDream-Flush); arXiv 2104.04473, section 2.2.1",
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
    const ahead = Math.min(numRanks - rank - 1, numMicroBatches);
    for (let i = 0; i < ahead; i++) push(list, "F", 0, i);
    for (let i = ahead; i < numMicroBatches; i++) {
      push(list, "F", 0, i);
      push(list, "BW", 0, i - ahead);
    }
    for (let i = numMicroBatches - ahead; i < numMicroBatches; i++) push(list, "BW", 0, i);
    lists.push(list);
  }
  return assembleSchedule({
    name: oneFOneB.name,
    placement: loopPlacement(numRanks, 1),
    numMicroBatches,
    splitBackward: false,
    lists,
    stashBoundChunks: (rank) => Math.min(numRanks - rank, numMicroBatches),
  });
}
