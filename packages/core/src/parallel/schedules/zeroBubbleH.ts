// ZB-H1 and ZB-H2: backward is split, and weight gradients, which nobody waits for, fill the gaps. Both are written out by hand as
// in figures 2 and 3 of the paper: rank r runs some forwards ahead, then B, W, F in turn, its W trailing its B by a few micro-batches.
//   H1: p - r forwards ahead, W trails by r      - every rank holds at most p stashes, as rank 0 of 1F1B
//   H2: 2 (p - r) - 1 ahead, W trails by 2 r     - at most 2p - 1, no gap once a rank has begun

import { costsOf, requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/** Idle time (p - 1)(F + B - W) (arXiv 2401.10241 table 1); holds for m >= p and W no longer than F and B. */
export const zeroBubbleH1: ScheduleFamily = {
  name: "zb-h1",
  title: "ZB-H1",
  source: "arXiv 2401.10241, section 2.1 and table 1",
  chunks: { fixed: 1 },
  splitBackward: true,
  check: requireCounts,
  build: (request) =>
    build(
      "zb-h1",
      request,
      (rank) => request.numRanks - rank,
      (rank) => rank,
      request.numRanks,
    ),
  bubbleFrac: (request) => {
    const { F, B, W } = costsOf(request);
    const { numRanks, numMicroBatches } = request;
    if (numMicroBatches < numRanks || W > Math.min(F, B)) return undefined;
    return ((numRanks - 1) * (F + B - W)) / (numMicroBatches * (F + B + W));
  },
};

/** Idle time (p - 1)(F + B - 2W), which is 0 for F = B = W, when the optimizer step does not wait for all ranks (section 2.2, table 1); holds for m >= 2p - 1 and W <= F. */
export const zeroBubbleH2: ScheduleFamily = {
  name: "zb-h2",
  title: "ZB-H2",
  source: "arXiv 2401.10241, section 2.2 and table 1",
  chunks: { fixed: 1 },
  splitBackward: true,
  check: requireCounts,
  build: (request) =>
    build(
      "zb-h2",
      request,
      (rank) => 2 * (request.numRanks - rank) - 1,
      (rank) => 2 * rank,
      2 * request.numRanks - 1,
    ),
  spanBubbleFrac: (request) => {
    const { F, B, W } = costsOf(request);
    const { numRanks, numMicroBatches } = request;
    if (numMicroBatches < 2 * numRanks - 1 || W > F || 2 * W > F + B) return undefined;
    return ((numRanks - 1) * (F + B - 2 * W)) / (numMicroBatches * (F + B + W));
  },
};

function build(
  name: string,
  { numRanks, numMicroBatches }: ScheduleRequest,
  aheadOf: (rank: number) => number,
  trailOf: (rank: number) => number,
  stashBound: number,
): Schedule {
  const lists = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(3 * numMicroBatches);
    const ahead = Math.min(aheadOf(rank), numMicroBatches);
    const trail = Math.min(trailOf(rank), numMicroBatches);
    for (let i = 0; i < ahead; i++) push(list, "F", 0, i);
    for (let i = 0; i < numMicroBatches; i++) {
      push(list, "B", 0, i);
      if (i >= trail) push(list, "W", 0, i - trail);
      if (i + ahead < numMicroBatches) push(list, "F", 0, i + ahead);
    }
    for (let i = numMicroBatches - trail; i < numMicroBatches; i++) push(list, "W", 0, i);
    lists.push(list);
  }
  return assembleSchedule({
    name,
    placement: loopPlacement(numRanks, 1),
    numMicroBatches,
    splitBackward: true,
    lists,
    stashBoundChunks: () => Math.min(stashBound, numMicroBatches),
  });
}
