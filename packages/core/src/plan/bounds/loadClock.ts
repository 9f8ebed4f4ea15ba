// The highest clock that power may leave a rank, from what its actions hold, before they are simulated.
//
// The simulation (simulate/power.ts) takes a rank's actions at boost clock, B seconds of which M are matrix work, and lets the clock c fall until
//   J c^1.5 <= W (B + M (1 / c - 1)),   J the dynamic energy at boost clock, W the power that is left for it.
// The less J and the longer the right side, the higher the clock. J is known at least; the right side is bounded from above in two ways:
//  - by its parts: an action lasts no longer than the longest chain of its ops, and what they lose to each other and to the host beside it;
//  - by the best step so far, T: a better step lasts no longer at its clock. The longest paths of its actions at boost clock are matrix work but for S, what
//    keeps compute waiting at most, and O, other compute; at a clock c they are longer by that matrix work x (1 / c - 1). So
//    B <= T - (B - S - O)(1 / c - 1), that is B <= c T + (S + O)(1 - c), and M <= c (T - O), as compute is one stream.

import type { DeviceSpec } from "../../cluster/types.ts";
import { clockWithin, defaultPower } from "../../simulate/power.ts";

/** What a rank does in a step: sums over its actions, alone and at boost clock. What is not known at most is infinite. */
export interface RankLoad {
  /** Dynamic energy, at least. */
  readonly joules: number;
  /** Compute that is not matrix work, at least and at most. */
  readonly otherSec: number;
  readonly mostOtherSec: number;
  /** Matrix work, at most. */
  readonly matrixSec: number;
  /** What may keep compute waiting, at most. */
  readonly stallSec: number;
  /** Everything one after another, at most. */
  readonly serialSec: number;
}

/**
 * @param withinSec the step's busy time, at most; infinite where nothing is known.
 * @param above returned where the clock is no higher.
 */
export function loadClock(device: DeviceSpec, load: RankLoad, withinSec: number, above = 0): number {
  const { joules, otherSec, mostOtherSec, matrixSec, stallSec, serialSec } = load;
  const waitsSec = stallSec + mostOtherSec;
  const mostSec = (clockFrac: number) => {
    if (clockFrac === 1) return Math.min(serialSec, withinSec);
    const slower = 1 / clockFrac - 1;
    const byParts = serialSec + (serialSec === Number.POSITIVE_INFINITY ? 0 : matrixSec * slower);
    if (withinSec === Number.POSITIVE_INFINITY) return byParts;
    const busySec = Math.min(withinSec, clockFrac * withinSec + waitsSec * (1 - clockFrac));
    const longer = Math.min(matrixSec * slower, Math.max(0, withinSec - otherSec) * (1 - clockFrac));
    return Math.min(byParts, busySec + longer);
  };
  if (mostSec(1) === Number.POSITIVE_INFINITY) return 1;
  return clockWithin(device, joules, mostSec, defaultPower, above);
}
