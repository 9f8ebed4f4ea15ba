// What a rank loses in a step to others: time slices of the operating system, collections of garbage, compilers. An op is called many times in a step, so a call that took
// far longer than its like was interrupted: it counts for the interruptions and not for the op, and no second counts twice.

import { median } from "../measure/opTotals.ts";

/** Shorter ones (interrupts, caches that someone else used) are part of what an op takes here. */
const leastLostSec = 0.2e-3;

/** Plain, so that ranks can send it. */
export interface LostTime {
  readonly busySec: number;
  readonly count: number;
  readonly sumSec: number;
  readonly sumSquares: number;
}

export class Lost {
  private busySec = 0;
  private count = 0;
  private sumSec = 0;
  private sumSquares = 0;

  /** @param sec of calls of one op, or of equal waits of a rank for nobody. @returns the mean of those that were not interrupted. */
  meanOfRest(sec: readonly number[]): number {
    const usual = median(sec);
    let sum = 0;
    let kept = 0;
    for (const each of sec) {
      this.busySec += each;
      const lostSec = each - usual;
      if (lostSec <= Math.max(leastLostSec, usual)) {
        sum += each;
        kept++;
        continue;
      }
      this.busySec -= lostSec;
      this.count++;
      this.sumSec += lostSec;
      this.sumSquares += lostSec ** 2;
    }
    return sum / Math.max(1, kept);
  }

  time(): LostTime {
    const { busySec, count, sumSec, sumSquares } = this;
    return { busySec, count, sumSec, sumSquares };
  }
}

/** What ranks lost together. */
export function lostTogether(all: readonly LostTime[]): LostTime {
  const sum = (of: (each: LostTime) => number) => all.reduce((total, each) => total + of(each), 0);
  return {
    busySec: sum((each) => each.busySec),
    count: sum((each) => each.count),
    sumSec: sum((each) => each.sumSec),
    sumSquares: sum((each) => each.sumSquares),
  };
}
