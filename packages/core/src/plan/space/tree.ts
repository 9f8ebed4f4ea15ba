// One core's part of the space: the lists below it, made once, and how many leaves hang under each node.

import { keeps, manners } from "./choices.ts";
import { listBodies, listEndings, mannersAt, mostRecomputed, sequenceParallels } from "./enumerate.ts";
import type { Body, Core, Ending, Family, Keep, Manner, Placement, PlanJob } from "./types.ts";

export class CoreTree {
  readonly keeps: readonly Keep[];
  private readonly job: PlanJob;
  private readonly core: Core;
  private readonly manners: readonly Manner[];
  private readonly bodies = new Map<number, readonly Body[]>();
  private readonly partials = new Map<number, number>();
  private readonly endings = new Map<string, readonly Ending[]>();

  constructor(job: PlanJob, core: Core) {
    this.job = job;
    this.core = core;
    this.keeps = keeps(job);
    const sequence = sequenceParallels(job, core);
    this.manners = manners(job, { ...core, dpcp: job.cluster.numDevices / core.tp }).filter((manner) =>
      sequence.includes(manner.sequenceParallel),
    );
  }

  mannersAt(placement: Placement): readonly Manner[] {
    return mannersAt(this.manners, this.core, placement);
  }

  bodiesAt(placement: Placement): readonly Body[] {
    let list = this.bodies.get(placement.pp);
    if (list === undefined) {
      list = listBodies(this.job, placement);
      this.bodies.set(placement.pp, list);
    }
    return list;
  }

  mostRecomputed(placement: Placement, body: Body): number {
    return mostRecomputed(this.job, placement, body);
  }

  endingsAt(placement: Placement, family: Family): readonly Ending[] {
    const key = `${placement.pp}:${placement.order.join("-")}:${family}`;
    let list = this.endings.get(key);
    if (list === undefined) {
      list = listEndings(this.job, this.core, placement, family);
      this.endings.set(key, list);
    }
    return list;
  }

  leavesOfBody(placement: Placement, manner: Manner): number {
    return placement.numOrders * this.endingsAt(placement, manner.family).length;
  }

  leavesOfKeep(placement: Placement, manner: Manner, keep: Keep): number {
    const bodies = keep.partial ? this.partialBodies(placement) : this.bodiesAt(placement).length;
    return bodies * this.leavesOfBody(placement, manner);
  }

  leavesOfManner(placement: Placement, manner: Manner): number {
    return this.keeps.reduce((sum, keep) => sum + this.leavesOfKeep(placement, manner, keep), 0);
  }

  /** Bodies with every number of recomputed layers. */
  private partialBodies(placement: Placement): number {
    let count = this.partials.get(placement.pp);
    if (count === undefined) {
      count = this.bodiesAt(placement).reduce((sum, body) => sum + this.mostRecomputed(placement, body), 0);
      this.partials.set(placement.pp, count);
    }
    return count;
  }
}
