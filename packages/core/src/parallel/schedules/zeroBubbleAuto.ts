// ZB-auto: the heuristic of the zero-bubble paper (section 3.1), for real durations and under a memory limit.
//
// The order of F and B is 1F1B with more forwards ahead: as many as fill the time before the first B arrives and fit the limit.
// Weight gradients then fill gaps and make room when the limit is reached (`weightFill`). As in the paper a small grid of settings is
// tried and the best kept: forwards ahead {as H1, as H2, up to the first B, one more} x W run {where it fits a gap, in any
// gap, a fixed number behind B as in H1 and H2}.
// Best = shortest span of a rank, then shortest makespan, then the earlier setting.

import { assert } from "../../units/errors.ts";
import { type ActionCosts, costsOf, requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, type RankActions, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";
import { type FilledOrder, orderGraph, weightFill } from "./weightFill.ts";

/** Spans that differ by rounding only are equal. */
const relativeSlack = 1e-9;

/** Stash at most `stashLimit` micro-batches, 2p when absent (enough for a zero bubble, section 2.2). */
export const zeroBubbleAuto: ScheduleFamily = {
  name: "zb-auto",
  title: "ZB-auto",
  source: "arXiv 2401.10241, section 3.1",
  chunks: { fixed: 1 },
  splitBackward: true,
  check,
  build,
};

function limitOf(request: ScheduleRequest): number {
  return Math.min(request.stashLimit ?? 2 * request.numRanks, request.numMicroBatches);
}

function check(request: ScheduleRequest): readonly string[] {
  const findings = [...requireCounts(request)];
  if (request.stashLimit !== undefined && !(Number.isInteger(request.stashLimit) && request.stashLimit >= 1)) {
    findings.push(`stash limit ${request.stashLimit} must be a whole number of at least 1 micro-batch`);
  }
  return findings;
}

function build(request: ScheduleRequest): Schedule {
  const { numRanks, numMicroBatches } = request;
  const costs = costsOf(request);
  const limit = limitOf(request);
  const best = bestOrder(request, costs, limit);
  return assembleSchedule({
    name: zeroBubbleAuto.name,
    placement: loopPlacement(numRanks, 1),
    numMicroBatches,
    splitBackward: true,
    lists: best.lists,
    stashBoundChunks: () => limit,
  });
}

function bestOrder(
  { numRanks, numMicroBatches }: ScheduleRequest,
  costs: ActionCosts,
  stashLimit: number,
): FilledOrder {
  const placement = loopPlacement(numRanks, 1);
  const leastSpan = numMicroBatches * (costs.F + costs.B + costs.W);
  const tried = new Set<string>();
  let best: FilledOrder | undefined;
  for (const ahead of forwardsAhead(numRanks, costs, stashLimit)) {
    if (tried.has(ahead.join())) continue;
    tried.add(ahead.join());
    const orders = ahead.map((count) => oneForwardOneBackward(count, numMicroBatches));
    const order = orderGraph(placement, numMicroBatches, orders);
    const trail = ahead.map((count) => ahead[0]! - count);
    for (const policy of ["patient", "eager", { trail }] as const) {
      const filled = weightFill({ order, costs, stashLimit, policy });
      if (best === undefined || isBetter(filled, best)) best = filled;
      if (best.span <= leastSpan * (1 + relativeSlack)) return best;
    }
  }
  assert(best !== undefined, "the grid has at least one setting");
  return best;
}

/** Candidates for the forwards each rank runs before its first B; never more than the rank before, or F would wait for ever. */
function forwardsAhead(numRanks: number, costs: ActionCosts, limit: number): number[][] {
  const ranks = Array.from({ length: numRanks }, (_, rank) => rank);
  return [
    ranks.map((rank) => Math.min(limit, numRanks - rank)),
    ranks.map((rank) => Math.min(limit, 2 * (numRanks - rank) - 1)),
    fillToFirstBackward(numRanks, costs, limit, Math.floor),
    fillToFirstBackward(numRanks, costs, limit, Math.ceil),
  ];
}

/** From the last rank back: the gap between the first F and the arrival of the first B, in forwards. */
function fillToFirstBackward(
  numRanks: number,
  costs: ActionCosts,
  limit: number,
  round: (x: number) => number,
): number[] {
  const { F, B, send } = costs;
  const ahead = new Array<number>(numRanks).fill(1);
  let backwardEnd = numRanks * F + (numRanks - 1) * send + B;
  for (let rank = numRanks - 2; rank >= 0; rank--) {
    const firstEnd = (rank + 1) * F + rank * send;
    const gap = backwardEnd + send - firstEnd;
    // Without slack a gap of 2.9999999 forwards would count as 2.
    const extra = F > 0 ? Math.max(0, round(gap / F - (round === Math.ceil ? 1e-9 : -1e-9))) : limit;
    ahead[rank] = Math.min(limit, Math.max(1 + extra, ahead[rank + 1]!));
    backwardEnd = Math.max(firstEnd + (ahead[rank]! - 1) * F, backwardEnd + send) + B;
  }
  return ahead;
}

function oneForwardOneBackward(ahead: number, numMicroBatches: number): RankActions {
  const list = rankActions(2 * numMicroBatches);
  for (let i = 0; i < ahead; i++) push(list, "F", 0, i);
  for (let i = 0; i < numMicroBatches; i++) {
    push(list, "B", 0, i);
    if (i + ahead < numMicroBatches) push(list, "F", 0, i + ahead);
  }
  return list;
}

function isBetter(a: FilledOrder, b: FilledOrder): boolean {
  const slack = relativeSlack * b.span;
  if (Math.abs(a.span - b.span) > slack) return a.span < b.span;
  return a.makespan < b.makespan - slack;
}
