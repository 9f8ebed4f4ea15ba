// From floors of the busy part of a step to floors of what is minimised, and back from the best value so far to a clock.
//
// A step lasts (end of the pipeline + tail) x (1 + straggler share) in the simulation, so the same holds of their floors. Back: a strategy that beats the
// best so far is busy no longer than that, and its layers draw at least so much energy, so its power limits its clock from above (loadClock.ts).

import { defaultNoise, noNoise, stragglerFrac } from "../../simulate/noise.ts";
import { clockWithin, defaultPower } from "../../simulate/power.ts";
import type { Objective } from "../objectives/objective.ts";
import type { PlanJob } from "../space/types.ts";
import { loadClock, type RankLoad } from "./loadClock.ts";
import type { StageFloors } from "./stageFloors.ts";

/** Floors add in other orders than the simulation; two that are equal must not part by rounding. */
const ROUNDED = 1 - 4e-9;

export class StepValue {
  private readonly job: PlanJob;
  private readonly objective: Objective;
  private readonly slower: number;
  private readonly held = new WeakMap<StageFloors, boolean>();

  constructor(job: PlanJob, objective: Objective) {
    this.job = job;
    this.objective = objective;
    const { numDevices, node, device } = job.cluster;
    // Waits for interrupted ranks grow with how often ranks meet, of which a floor knows nothing.
    const noise = device.interruptions === undefined ? defaultNoise : noNoise;
    this.slower = 1 + stragglerFrac({ numDevices, devicesPerNode: node.numDevices }, noise);
  }

  /** @param endSec floor of the pipeline's end and the tail. @param joules of the rank with least. @param ends per rank, floors of its end. */
  valueAt(endSec: number, joules: number, ends: ArrayLike<number>): number {
    let busy = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ends.length; i++) busy = Math.min(busy, ends[i]!);
    return this.objective.floorOf(endSec * this.slower * ROUNDED, joules, busy);
  }

  /** Whether layers draw so much that power may hold a device back: not while the whole of each lasts no less than its energy needs. */
  mayHoldBack(floors: StageFloors): boolean {
    let held = this.held.get(floors);
    if (held === undefined) {
      const { device } = this.job.cluster;
      const { joules, matrixSec, otherSec, numBlocks, blockAt } = floors;
      held = false;
      const met = new Set<number>();
      for (let i = 0; i < numBlocks && !held; i++) {
        if (met.has(blockAt[i]!)) continue;
        met.add(blockAt[i]!);
        const sec = matrixSec[i + 1]! - matrixSec[i]! + otherSec[i + 1]! - otherSec[i]!;
        held = clockWithin(device, joules[i + 1]! - joules[i]!, () => sec, defaultPower) < 1;
      }
      this.held.set(floors, held);
    }
    return held;
  }

  /** The highest clock of a step that is better than `best` and whose busiest rank has one of these loads. */
  clockBelow(loads: Iterable<RankLoad>, best: number): number {
    const within = best === Number.POSITIVE_INFINITY ? best : this.objective.stepSecOf(best) / this.slower;
    let clock = 0;
    for (const load of loads) clock = Math.max(clock, loadClock(this.job.cluster.device, load, within, clock));
    return clock;
  }
}
