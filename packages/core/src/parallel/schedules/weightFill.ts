// Puts weight-gradient actions into a given order of forwards and input gradients: a list scheduler for the zero-bubble family.
// The order of F and B is fixed, so the schedule cannot deadlock; a rank runs a pending W (oldest first)
//   - when the next F would exceed the stash limit,
//   - when the next action's input is not there yet: always ("eager"), or only if W ends before the input can arrive ("patient"),
//   - as soon as more than a given number of W are pending, and in no gap ("trail": the written-out ZB-H schedules),
//   - when no F or B is left.
// The arrival of an input whose producer has not started is bounded from below by starting the producer now.

import { assert } from "../../units/errors.ts";
import type { ActionCosts } from "./admissible.ts";
import { actionGraph } from "./dependencies.ts";
import { dropEvent, eventHeap, pushEvent } from "./eventHeap.ts";
import type { Placement } from "./placement.ts";
import { assembleSchedule, type RankActions } from "./rankActions.ts";

export interface WeightFillInput {
  readonly placement: Placement;
  readonly numMicroBatches: number;
  /** Per rank, the order of F and B actions. */
  readonly orders: readonly RankActions[];
  readonly costs: ActionCosts;
  /** Per rank, chunk stashes held at most, from F to W; no less than the order itself needs from F to B. */
  readonly stashLimit: number;
  readonly policy: FillPolicy;
}

/** "trail" gives the most pending W per rank. */
export type FillPolicy = "eager" | "patient" | { readonly trail: readonly number[] };

export interface FilledOrder {
  readonly lists: RankActions[];
  /** In units of the costs. */
  readonly makespan: number;
  /** Longest time from first start to last end of a rank. */
  readonly span: number;
}

/** Rounding of sums of costs must not turn a W that just fits into one that does not. */
const relativeSlack = 1e-9;

/** O(actions log ranks). */
export function weightFill(input: WeightFillInput): FilledOrder {
  const { placement, numMicroBatches, orders, costs, stashLimit } = input;
  const { numRanks } = placement;
  const { policy } = input;
  const trail = typeof policy === "string" ? null : policy.trail;
  const { offsets, codes, rankOf, needs } = actionGraph(
    assembleSchedule({
      name: "order of F and B",
      placement,
      numMicroBatches,
      splitBackward: true,
      lists: orders,
      stashBoundChunks: () => stashLimit,
    }),
  );
  const costOf = [costs.F, costs.B, costs.W] as const;
  const total = codes.length;
  const endAt = new Float64Array(total).fill(Infinity);
  const waiterOf = new Int32Array(total);
  const cursor = offsets.slice(0, numRanks);
  const freeAt = new Float64Array(numRanks);
  const firstStart = new Float64Array(numRanks).fill(Infinity);
  const stash = new Int32Array(numRanks);
  // Pending weight gradients of a rank: the B actions [pendingFrom, pendingTo) of its list of B codes.
  const pendingCodes = new Int32Array(total);
  const pendingFrom = offsets.slice(0, numRanks);
  const pendingTo = offsets.slice(0, numRanks);
  const lists: RankActions[] = orders.map((order) => ({ codes: new Int32Array((order.length * 3) / 2), length: 0 }));
  const heap = eventHeap(4 * numRanks);
  for (let rank = 0; rank < numRanks; rank++) pushEvent(heap, 0, rank);

  while (heap.length > 0) {
    const time = heap.times[0]!;
    const rank = heap.ranks[0]!;
    dropEvent(heap);
    if (freeAt[rank]! > time) continue;
    const at = cursor[rank]!;
    const isPending = pendingFrom[rank]! < pendingTo[rank]!;
    const hasNext = at < offsets[rank + 1]!;
    if (!hasNext && !isPending) continue;
    let runWeight = !hasNext;
    let waitUntil = time;
    if (hasNext) {
      const need = needs[at]!;
      const isFull = (codes[at]! & 3) === 0 && stash[rank]! >= stashLimit;
      const isTrailing = trail !== null && pendingTo[rank]! - pendingFrom[rank]! > trail[rank]!;
      if (isTrailing) runWeight = true;
      else if (isFull) {
        assert(isPending, `stash limit ${stashLimit} holds the order of rank ${rank}`);
        runWeight = true;
      } else if (need >= 0) {
        const sendCost = rankOf[need] === rank ? 0 : costs.send;
        const started = endAt[need]! < Infinity;
        const earliest = (started ? endAt[need]! : time + costOf[codes[need]! & 3]!) + sendCost;
        if (earliest > time) {
          runWeight =
            isPending &&
            (policy === "eager" || (policy === "patient" && costs.W <= (earliest - time) * (1 + relativeSlack)));
          if (!runWeight) {
            if (started) waitUntil = earliest;
            else {
              waiterOf[need] = rank + 1;
              continue;
            }
          }
        }
      }
    }
    if (waitUntil > time) {
      pushEvent(heap, waitUntil, rank);
      continue;
    }
    if (firstStart[rank] === Infinity) firstStart[rank] = time;
    const list = lists[rank]!;
    if (runWeight) {
      list.codes[list.length++] = pendingCodes[pendingFrom[rank]!++]! + 1; // kind B is 1, W is 2
      stash[rank]!--;
      freeAt[rank] = time + costs.W;
    } else {
      const code = codes[at]!;
      list.codes[list.length++] = code;
      cursor[rank] = at + 1;
      const end = time + costOf[code & 3]!;
      freeAt[rank] = end;
      if ((code & 3) === 0) stash[rank]!++;
      else pendingCodes[pendingTo[rank]!++] = code;
      endAt[at] = end;
      if (waiterOf[at] !== 0) pushEvent(heap, time, waiterOf[at]! - 1);
    }
    pushEvent(heap, freeAt[rank]!, rank);
  }
  let makespan = 0;
  let span = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    if (freeAt[rank]! > makespan) makespan = freeAt[rank]!;
    if (freeAt[rank]! - firstStart[rank]! > span) span = freeAt[rank]! - firstStart[rank]!;
  }
  return { lists, makespan, span };
}
