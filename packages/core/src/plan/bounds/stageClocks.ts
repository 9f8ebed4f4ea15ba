// Clocks that power leaves to the ranks of a body, from what its simulated actions last and draw at boost clock.
//
// Where the ending is not known yet, the highest clock that any of them may sustain bounds the body's stages; where it is, whether power holds the rank
// back at all decides if its own clock is worth a simulation (settledEnding.ts).

import type { DeviceSpec } from "../../cluster/types.ts";
import { defaultPower, sustainedClock } from "../../simulate/power.ts";
import type { Placement } from "../space/types.ts";
import type { EndingWaits } from "./endingWaits.ts";
import { rankSum, ranksAlike, type StageCut } from "./pipelineBound.ts";
import type { SimulatedTimes } from "./simulatedStages.ts";

/** Held back by less than this, a clock of its own is not worth its simulation: boost clock bounds it well. */
const FREE_CLOCK = 0.98;

/**
 * Energy of a step over that of its layers from which a clock is simulated. Like FREE_CLOCK it decides only whether that is worth its time: the floor at boost
 * clock holds in any case.
 */
const COMMUNICATION_DRAW = 1.1;

/** Clocks are rounded up to this, so that bodies share simulated stages. */
const CLOCK_GRID = 0.0025;

export function gridded(clockFrac: number): number {
  return Math.min(1, Math.ceil(clockFrac / CLOCK_GRID) * CLOCK_GRID);
}

/** Stages whose place on the ranks is known, at boost clock. */
export interface BoostStages {
  readonly placement: Placement;
  readonly cut: StageCut;
  readonly times: SimulatedTimes;
  /** Of one micro-batch, summed over the blocks before each position. */
  readonly joules: Float64Array;
}

/** Highest clock of any rank with any of the endings that `waits` is of: what they add at most, beside the energy that they draw at least. */
export function highestClock(device: DeviceSpec, stages: BoostStages, waits: EndingWaits): number {
  const { placement, cut, times, joules } = stages;
  const { pp, numMicroBatches: m } = placement;
  let clock = 0;
  for (let rank = 0; rank < pp; rank++) {
    if (rank > 0 && ranksAlike(cut, rank - 1, rank, pp)) continue;
    let busySec = 0;
    let matrixSec = 0;
    let edgeSec = 0;
    for (let s = rank; s < cut.rankAt.length; s += pp) {
      busySec += m * (times.forwardSec[s]! + times.backwardSec[s]!);
      matrixSec += m * times.matrixSec[s]!;
      edgeSec += waits.edgeSec;
    }
    const each = rankSum(cut, waits.eachSec, rank, pp) + edgeSec;
    const extraSec = m * each + rankSum(cut, waits.onceSec, rank, pp) + waits.normSec;
    const load = {
      busySec: busySec + extraSec,
      matrixSec: matrixSec + extraSec,
      joules: m * (rankSum(cut, joules, rank, pp) + rankSum(cut, waits.leastJoules, rank, pp)),
    };
    clock = Math.max(clock, sustainedClock(device, load, defaultPower));
  }
  return clock;
}

/** Whether power may hold back a rank that does its actions alone: they draw too much for their time at boost clock. */
export function mayHoldBack(device: DeviceSpec, { placement, cut, times, joules }: BoostStages): boolean {
  const { pp, numMicroBatches: m } = placement;
  for (let rank = 0; rank < pp; rank++) {
    let busySec = 0;
    for (let s = rank; s < cut.rankAt.length; s += pp) busySec += m * (times.forwardSec[s]! + times.backwardSec[s]!);
    // Gathers and reductions draw a little themselves: a share above what they have been seen to.
    const load = { busySec, matrixSec: busySec, joules: COMMUNICATION_DRAW * m * rankSum(cut, joules, rank, pp) };
    if (sustainedClock(device, load, defaultPower) < FREE_CLOCK) return true;
  }
  return false;
}
