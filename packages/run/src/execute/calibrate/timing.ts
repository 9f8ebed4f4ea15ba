// How long a call takes: the median of batches of calls, each batch long enough for the clock. Medians, as runs are compared by them too; what else the machine
// does shows in them only when it lasts.

import { nowSec } from "../engine/spanRecorder.ts";
import { median } from "../measure/opTotals.ts";

export interface Effort {
  /** Least length of a batch. */
  readonly batchSec: number;
  readonly numBatches: number;
}

/** A few seconds for the whole machine with `quick`, about two minutes without. */
export function effortOf(quick: boolean): Effort {
  return quick ? { batchSec: 0.4e-3, numBatches: 3 } : { batchSec: 4e-3, numBatches: 7 };
}

/** Instead of warmUpSec (launch/warmUp.ts). */
export const quickWarmUpSec = 0.5;

const mostCalls = 20_000;

/** Seconds of one call. */
export function timeOf(call: () => void, { batchSec, numBatches }: Effort): number {
  const batch = (calls: number) => {
    const start = nowSec();
    for (let i = 0; i < calls; i++) call();
    return nowSec() - start;
  };
  // The first calls compile code and touch the memory.
  batch(2);
  let calls = 1;
  for (let spent = batch(calls); spent < batchSec && calls < mostCalls; spent = batch(calls))
    calls = nextCalls(calls, spent, batchSec);
  return median(Array.from({ length: numBatches }, () => batch(calls) / calls));
}

/** Calls of a batch that is to last `batchSec`, after `calls` took `spentSec`. */
export function nextCalls(calls: number, spentSec: number, batchSec: number): number {
  const wanted = Math.ceil((calls * 1.2 * batchSec) / Math.max(spentSec, 1e-7));
  return Math.min(mostCalls, Math.max(calls + 1, Math.min(wanted, 10 * calls)));
}
