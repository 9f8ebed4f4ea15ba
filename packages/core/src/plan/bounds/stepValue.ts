// From floors of the busy part of a step to floors of what is minimised, and back from the best value so far to a clock.
//
// A step lasts (end of the pipeline + tail) x (1 + straggler share) in the simulation, so the same holds of their floors. Back: a strategy that beats the
// best so far is busy no longer than that, and its layers draw at least so much energy, so its power limits its clock from above (simulate/power.ts).

import { defaultNoise, stragglerFrac } from "../../simulate/noise.ts";
import { defaultPower, sustainedClock } from "../../simulate/power.ts";
import type { Objective } from "../objectives/objective.ts";
import type { PlanJob } from "../space/types.ts";

/** Floors add in other orders than the simulation; two that are equal must not part by rounding. */
const ROUNDED = 1 - 4e-9;

export class StepValue {
  private readonly job: PlanJob;
  private readonly objective: Objective;
  private readonly slower: number;

  constructor(job: PlanJob, objective: Objective) {
    this.job = job;
    this.objective = objective;
    const { numDevices, node } = job.cluster;
    this.slower = 1 + stragglerFrac({ numDevices, devicesPerNode: node.numDevices }, defaultNoise);
  }

  /** @param endSec floor of the pipeline's end and the tail. @param joules of the rank with least. @param ends per rank, floors of its end. */
  valueAt(endSec: number, joules: number, ends: ArrayLike<number>): number {
    let busy = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ends.length; i++) busy = Math.min(busy, ends[i]!);
    return this.objective.floorOf(endSec * this.slower * ROUNDED, joules, busy);
  }

  /**
   * The highest clock of a step that is better than `best` and whose busiest rank draws at least `joules`, of which it spends at least `otherSec` on
   * compute that is not matrix work. Matrix ops are on one stream with that compute, so they take no more than the rest.
   */
  clockBelow(joules: number, otherSec: number, best: number): number {
    if (best === Number.POSITIVE_INFINITY) return 1;
    const busySec = this.objective.stepSecOf(best) / this.slower;
    const matrixSec = Math.max(0, busySec - otherSec);
    return sustainedClock(this.job.cluster.device, { busySec, matrixSec, joules }, defaultPower);
  }
}
