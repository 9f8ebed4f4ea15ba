// Puts weight-gradient actions into a given order of forwards and input gradients: a list scheduler for the zero-bubble family.
// The order of F and B is fixed, so the schedule cannot deadlock; a rank runs a pending W (oldest first)
//   - when the next F would exceed the stash limit,
//   - when the next action's input is not there yet: always ("eager"), or only if W ends before the input can arrive ("patient"),
//   - as soon as more than a given number of W are pending, and in no gap ("trail": the written-out ZB-H schedules),
//   - when no F or B is left.
// The arrival of an input whose producer has not started is bounded from below by starting the producer now.

import { assert } from "../../units/errors.ts";
import type { ActionCosts } from "./admissible.ts";
import { type ActionGraph, actionGraph } from "./dependencies.ts";
import type { Placement } from "./placement.ts";
import { assembleSchedule, type RankActions, rankActions } from "./rankActions.ts";
import { earliestRank, rankClock, wakeAt } from "./rankClock.ts";

/** The dependencies of a given order of F and B on every rank: what `weightFill` starts from. */
export function orderGraph(placement: Placement, numMicroBatches: number, orders: readonly RankActions[]): ActionGraph {
  return actionGraph(
    assembleSchedule({
      name: "order of F and B",
      placement,
      numMicroBatches,
      splitBackward: true,
      lists: orders,
      stashBoundChunks: () => Number.POSITIVE_INFINITY,
    }),
  );
}

export interface WeightFillInput {
  /** Order of F and B. */
  readonly order: ActionGraph;
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
  const { costs, stashLimit, policy } = input;
  const trail = typeof policy === "string" ? null : policy.trail;
  const { offsets, codes, rankOf, needs } = input.order;
  const numRanks = offsets.length - 1;
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
  const lists: RankActions[] = [];
  for (let rank = 0; rank < numRanks; rank++) {
    lists.push(rankActions(((offsets[rank + 1]! - offsets[rank]!) * 3) / 2));
  }
  const clock = rankClock(numRanks);

  for (;;) {
    const rank = earliestRank(clock);
    const time = clock.times[rank]!;
    if (time === Number.POSITIVE_INFINITY) break;
    const at = cursor[rank]!;
    const isPending = pendingFrom[rank]! < pendingTo[rank]!;
    const hasNext = at < offsets[rank + 1]!;
    if (!hasNext && !isPending) {
      wakeAt(clock, rank, Number.POSITIVE_INFINITY);
      continue;
    }
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
            waitUntil = earliest;
            if (!started) {
              waiterOf[need] = rank + 1;
              waitUntil = Number.POSITIVE_INFINITY;
            }
          }
        }
      }
    }
    if (waitUntil > time) {
      wakeAt(clock, rank, waitUntil);
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
      if (waiterOf[at] !== 0) wakeAt(clock, waiterOf[at]! - 1, time);
    }
    wakeAt(clock, rank, freeAt[rank]!);
  }
  let makespan = 0;
  let span = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    if (freeAt[rank]! > makespan) makespan = freeAt[rank]!;
    if (freeAt[rank]! - firstStart[rank]! > span) span = freeAt[rank]! - firstStart[rank]!;
  }
  return { lists, makespan, span };
}
