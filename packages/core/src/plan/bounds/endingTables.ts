// What the endings of one core ask for again and again: their floors, what they make a rank wait for, and the end of a step.

import { meshOf } from "../../parallel/lower/index.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { plainKeep } from "../space/choices.ts";
import { coreStrategy } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Core, Ending, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { type EndingFloors, endingFloors, exchangeShape } from "./endingFloors.ts";
import { TailSimulator } from "./endingSimulator.ts";
import { type EndingWaits, endingWaits } from "./endingWaits.ts";
import { ofJob } from "./ofJob.ts";
import { SharedLayers } from "./sharedLayers.ts";
import type { StageFloors } from "./stageFloors.ts";

interface EndingSite {
  readonly placement: Placement;
  readonly manner: Manner;
}

const endingsOf = new WeakMap<PlanJob, Map<string, EndingFloors>>();
const layersOf = new WeakMap<PlanJob, Map<string, SharedLayers>>();
const tailsOf = new WeakMap<PlanJob, Map<string, TailSimulator>>();

export class EndingTables {
  private readonly job: PlanJob;
  private readonly core: Core;
  private readonly numLayers: number;
  /** By sequence parallelism: an ending stands in the list of one placement. */
  private readonly floors = [new Map<Ending, EndingFloors>(), new Map<Ending, EndingFloors>()] as const;
  private readonly waits = new Map<StageFloors, Map<Ending | readonly Ending[], EndingWaits>>();

  constructor(job: PlanJob, core: Core, numLayers: number) {
    this.job = job;
    this.core = core;
    this.numLayers = numLayers;
  }

  floorsFor(at: EndingSite, ending: Ending): EndingFloors {
    const known = this.floors[at.manner.sequenceParallel ? 1 : 0];
    let found = known.get(ending);
    if (found === undefined) {
      found = this.floorsOf(at, ending);
      known.set(ending, found);
    }
    return found;
  }

  private floorsOf(at: EndingSite, ending: Ending): EndingFloors {
    const { job, core } = this;
    const { placement, manner } = at;
    const { sharding, shardGroup, offloadOptimizer } = ending;
    const { tp, cp, ulysses, ep, etp, precision } = core;
    // Not the micro-batch: parameters and their gradients do not depend on it.
    const kind = [tp, cp, ulysses, ep, etp, precision, manner.sequenceParallel, sharding, offloadOptimizer].join();
    const key = [kind, placement.pp, placement.order.join("-"), shardGroup].join(";");
    const known = ofJob(endingsOf, job);
    let found = known.get(key);
    if (found === undefined) {
      const strategy: Strategy = {
        ...coreStrategy(job, core, manner.sequenceParallel),
        pp: placement.pp,
        dp: placement.dp,
        order: placement.order,
        sharding,
        shardGroup,
        offloadOptimizer,
        // An encoder-decoder's or a short model's ends may not divide evenly over so many ranks without counting its ends.
        balanceEmbedding: placement.pp > this.numLayers,
      };
      const shape = `${kind};${exchangeShape(job, meshOf(strategy))}`;
      const layers = ofJob(layersOf, job);
      let shared = layers.get(shape);
      if (shared === undefined) {
        shared = new SharedLayers(true);
        layers.set(shape, shared);
      }
      found = endingFloors(job, strategy, softwareOf(job, manner, null, ending), shared);
      known.set(key, found);
    }
    return found;
  }

  /** Of floors that were asked for at this placement; with one ending of its list, or with all of them. */
  waitsFor(at: EndingSite, endings: Ending | readonly Ending[], floors: StageFloors): EndingWaits {
    let known = this.waits.get(floors);
    if (known === undefined) {
      known = new Map();
      this.waits.set(floors, known);
    }
    let found = known.get(endings);
    if (found === undefined) {
      const list = "sharding" in endings ? [endings] : endings;
      found = endingWaits(
        floors,
        list.map((ending) => ({ ending, floors: this.floorsFor(at, ending) })),
      );
      known.set(endings, found);
    }
    return found;
  }

  tailSimulator(leaf: Leaf): TailSimulator {
    const { placement, manner, ending } = leaf;
    const { tp, cp, ulysses, ep, etp, precision } = this.core;
    const key = [
      [tp, cp, ulysses, ep, etp, precision, placement.pp, placement.order.join("-"), manner.sequenceParallel].join(),
      Object.values(ending).join(),
    ].join(";");
    const known = ofJob(tailsOf, this.job);
    let found = known.get(key);
    if (found === undefined) {
      found = new TailSimulator(this.job, { core: this.core, placement, manner, keep: plainKeep, ending });
      known.set(key, found);
    }
    return found;
  }
}
