// What other programs took of this machine's cores while something was measured: figures of a busy machine hold for a busy machine.

import { cpus } from "node:os";

export interface CoreClock {
  /** Seconds that all cores have been busy, and this process. */
  readonly allSec: number;
  readonly ownSec: number;
  readonly atSec: number;
}

export function readCores(): CoreClock {
  const allMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
  const { user, system } = process.cpuUsage();
  return { allSec: allMs / 1e3, ownSec: (user + system) / 1e6, atSec: performance.now() / 1e3 };
}

/** Cores that other programs kept busy, on average, between two readings in this process. */
export function otherCores(from: CoreClock, to: CoreClock): number {
  const others = to.allSec - from.allSec - (to.ownSec - from.ownSec);
  return Math.max(0, others / Math.max(1e-3, to.atSec - from.atSec));
}
