// The floors that a search of one core asks for, level by level, over tables that all of them share (coreTables.ts). Each level relaxes the next:
//   kernels, manner, keep   before a body is chosen, over every way to deal the layers (spreadBounds.ts);
//   body, priced, timed     a body's pipeline, from chains of its stages, from simulated stages, simulated itself (bodyBounds.ts);
//   ending, settled         with what is gathered, reduced and updated (endingBounds.ts), at the clock of the leaf's own load (settledEnding.ts).
// Beside them, whether anything below can fit memory (memoryFit.ts). What a floor of seconds says of the objective, and what the best value says of the
// clock, stands in stepValue.ts.
//
// `best` is the value that a strategy must beat to matter: a floor may use that, and holds for any lower best too.

import type { Objective } from "../objectives/objective.ts";
import { numLayersOf } from "../space/enumerate.ts";
import type { Core, Ending, Family, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { BodyBounds, type ChainedBody, type PricedBody } from "./bodyBounds.ts";
import { type BodyAt, CoreTables } from "./coreTables.ts";
import { EndingBounds, type EndingState } from "./endingBounds.ts";
import { MemoryFit } from "./memoryFit.ts";
import { scheduleTraits } from "./scheduleTraits.ts";
import { SettledEndings } from "./settledEnding.ts";
import { SpreadBounds } from "./spreadBounds.ts";
import { StepValue } from "./stepValue.ts";
import type { ScheduleOf } from "./timedPipeline.ts";

export class CoreBounds {
  private readonly memory: MemoryFit;
  private readonly spread: SpreadBounds;
  private readonly bodies: BodyBounds;
  private readonly endings: EndingBounds;
  private readonly leaves: SettledEndings;
  private readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];

  constructor(
    job: PlanJob,
    core: Core,
    objective: Objective,
    lists: {
      readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];
      readonly scheduleOf: ScheduleOf;
    },
  ) {
    const { endingsAt, scheduleOf } = lists;
    this.endingsAt = endingsAt;
    const traits = scheduleTraits(job);
    const tables = new CoreTables(job, core, numLayersOf(job), traits.mayPair);
    const value = new StepValue(job, objective);
    this.memory = new MemoryFit(job, tables, traits);
    this.spread = new SpreadBounds(job, core, { tables, traits, value, endingsAt });
    this.endings = new EndingBounds(tables, value);
    this.bodies = new BodyBounds(job, { tables, value, endings: this.endings, endingsAt, scheduleOf });
    this.leaves = new SettledEndings(job, { tables, traits, endings: this.endings, scheduleOf });
  }

  kernelBound(placement: Placement, manner: Manner, best: number): number {
    return this.spread.kernelBound(placement, manner, best);
  }

  mannerBound(placement: Placement, manner: Manner, best: number): number {
    return this.spread.mannerBound(placement, manner, best);
  }

  keepBound(placement: Placement, manner: Manner, keep: Keep, best: number): number {
    return this.spread.keepBound(placement, manner, keep, best);
  }

  bodyBound(at: BodyAt, best: number): number {
    return this.bodies.bodyBound(at, best);
  }

  /** The least floor over endings that may fit, with the stages' floors; infinite when none fits. */
  bodyEndings(at: BodyAt, endings: readonly Ending[], best: number): number {
    return this.bestEnding(at, endings, best)?.floor ?? Number.POSITIVE_INFINITY;
  }

  /** The ending with the least floor of those that may fit; null when none may. */
  bestEnding(
    at: BodyAt,
    endings: readonly Ending[],
    best: number,
  ): { readonly ending: Ending; readonly floor: number } | null {
    const state = this.bodies.chained(at, best);
    let least: { ending: Ending; floor: number } | null = null;
    for (const ending of endings) {
      if (!this.memory.fits(at, ending)) continue;
      const shared = this.endings.bound(at, ending, state);
      const floor = shared > best ? shared : Math.max(shared, this.ownClockBound(at, ending, best));
      if (least === null || floor < least.floor) least = { ending, floor };
    }
    return least;
  }

  /** What `endingBound` needs, from floors of the stages alone. */
  floorState(at: BodyAt, best: number): ChainedBody {
    return this.bodies.chained(at, best);
  }

  priceBody(at: BodyAt, best: number): PricedBody {
    return this.bodies.priceBody(at, best);
  }

  timeBody(at: BodyAt, priced: PricedBody): PricedBody {
    return this.bodies.timeBody(at, priced);
  }

  repriced(at: BodyAt, priced: PricedBody, best: number): PricedBody {
    return this.bodies.repriced(at, priced, best);
  }

  /** Highest clock that this ending leaves. */
  ownClock(at: BodyAt, ending: Ending, best: number): number {
    return this.bodies.chainedFor(at, ending, best).clockFrac;
  }

  /** From chains alone, at that clock. */
  ownClockBound(at: BodyAt, ending: Ending, best: number): number {
    return this.endings.bound(at, ending, this.bodies.chainedFor(at, ending, best));
  }

  endingBound(leaf: Leaf, state: EndingState): number {
    return this.endings.leafBound(leaf, state);
  }

  settledEnding(leaf: Leaf, priced: PricedBody, best: number): EndingState | null {
    return this.leaves.settled(leaf, priced, best);
  }

  mannerExcess(placement: Placement, manner: Manner): number {
    return this.memory.mannerExcess(placement, manner, this.endingsAt(placement, manner.family));
  }

  keepExcess(placement: Placement, manner: Manner, keep: Keep): number {
    return this.memory.keepExcess(placement, manner, keep, this.endingsAt(placement, manner.family));
  }

  bodyFits(at: BodyAt, endings: readonly Ending[]): boolean {
    return this.memory.bodyFits(at, endings);
  }

  fewestRecomputed(at: BodyAt, endings: readonly Ending[], most: number): number | null {
    return this.memory.fewestRecomputed(at, endings, most);
  }

  excess(at: BodyAt, ending: Ending): number {
    return this.memory.excess(at, ending);
  }

  endingFits(leaf: Leaf): boolean {
    return this.memory.endingFits(leaf);
  }
}
