// 2BP: 1F1B with the backward pass in two stages. The input gradients keep 1F1B's order and run without the weight gradients between
// them; those run in the gaps and, the rest, at the end of the step. Every stash may live to the end: m stashes.

import { costsOf, requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";
import { orderGraph, weightFill } from "./weightFill.ts";

/**
 * Gaps are found for the given costs (equal ones when absent): "backward-p2" fills a gap only where it fits.
 * Bubble (p - 1) / (3 m) for F = B = W and m >= p (section 3, "1F1B-1" is m = p, "1F1B-2" m = 2p).
 */
export const twoBp: ScheduleFamily = {
  name: "2bp",
  title: "2BP",
  source: "arXiv 2405.18047, section 3",
  chunks: { fixed: 1 },
  splitBackward: true,
  check: requireCounts,
  build,
  bubbleFrac: (request) => {
    const { F, B, W } = costsOf(request);
    const { numRanks, numMicroBatches } = request;
    return F === B && B === W && numMicroBatches >= numRanks ? (numRanks - 1) / (3 * numMicroBatches) : undefined;
  },
};

function build(request: ScheduleRequest): Schedule {
  const { numRanks, numMicroBatches } = request;
  const placement = loopPlacement(numRanks, 1);
  const orders = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(2 * numMicroBatches);
    const ahead = Math.min(numRanks - rank, numMicroBatches);
    for (let i = 0; i < ahead; i++) push(list, "F", 0, i);
    for (let i = 0; i < numMicroBatches; i++) {
      push(list, "B", 0, i);
      if (i + ahead < numMicroBatches) push(list, "F", 0, i + ahead);
    }
    orders.push(list);
  }
  const { lists } = weightFill({
    order: orderGraph(placement, numMicroBatches, orders),
    costs: costsOf(request),
    stashLimit: numMicroBatches,
    policy: "patient",
  });
  return assembleSchedule({
    name: twoBp.name,
    placement,
    numMicroBatches,
    splitBackward: true,
    lists,
    stashBoundChunks: () => numMicroBatches,
  });
}
