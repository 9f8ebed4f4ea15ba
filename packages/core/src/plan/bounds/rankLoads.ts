// What each pipeline rank of a body does in a step, as limits of its clock (loadClock.ts).

import type { Body, Placement } from "../space/types.ts";
import type { BodyStages } from "./bodyStages.ts";
import type { EndingWaits } from "./endingWaits.ts";
import type { RankLoad } from "./loadClock.ts";
import { borderOf, ranksAlike } from "./pipelineBound.ts";

/** Of schedules whose ranks are known, with any of the endings that `waits` is of. Ranks whose stages are alike stand in the list once. */
export function rankLoads(
  { cut, floors, rest, numRecomputed }: BodyStages,
  { pp, numMicroBatches: m }: Placement,
  body: Body,
  waits: EndingWaits,
): RankLoad[] {
  const { starts } = cut;
  const numStages = cut.rankAt.length;
  const loads: RankLoad[] = [];
  for (let rank = 0; rank < pp; rank++) {
    if (rank > 0 && ranksAlike(cut, rank - 1, rank, pp)) continue;
    let joules = 0;
    let otherSec = 0;
    let matrixSec = 0;
    let stallSec = 0;
    let afterSec = waits.normSec;
    for (let s = rank; s < numStages; s += pp) {
      const from = starts[s]!;
      const to = starts[s + 1]!;
      if (to <= from) continue;
      const border = rest === null ? to : borderOf(cut, floors, s, numRecomputed);
      joules += waits.leastJoules[to]! - waits.leastJoules[from]! + floors.joules[border]! - floors.joules[from]!;
      otherSec += floors.otherSec[border]! - floors.otherSec[from]!;
      matrixSec += floors.matrixSec[border]! - floors.matrixSec[from]!;
      stallSec += floors.stallSec[border]! - floors.stallSec[from]!;
      if (rest !== null && border < to) {
        joules += rest.joules[to]! - rest.joules[border]!;
        otherSec += rest.otherSec[to]! - rest.otherSec[border]!;
        matrixSec += rest.matrixSec[to]! - rest.matrixSec[border]!;
        stallSec += rest.stallSec[to]! - rest.stallSec[border]!;
      }
      stallSec += floors.edgeSec + waits.edgeSec + waits.eachSec[to]! - waits.eachSec[from]!;
      afterSec += waits.onceSec[to]! - waits.onceSec[from]!;
    }
    // A head that is spread over the ranks stands in no stage.
    const partly = body.vocabOverStages ? Number.POSITIVE_INFINITY : 0;
    loads.push({
      joules: m * joules,
      otherSec: m * otherSec,
      mostOtherSec: m * otherSec + partly,
      matrixSec: m * matrixSec + partly,
      stallSec: m * stallSec + afterSec,
      serialSec: m * (otherSec + matrixSec + stallSec) + afterSec + partly,
    });
  }
  return loads;
}
