// Floors of time before a body is chosen: over every way to deal the layers to the ranks.
//
// Notation: m micro-batches, p pipeline ranks, L layers. Levels, each a relaxation of the next:
//   kernels compute of the layers one after another, nothing recomputed; one lowering serves all manners of a family.
//   manner  every block of the model runs m times and p ranks share them (mean over ranks); the fullest rank holds ceil(L / p) layers; the last rank starts
//           and ends with the pipeline.
//   keep    the same with the layer's recomputation.
// Where parameters are gathered and gradients reduced with every micro-batch (zero2, zero3), the mean rank's streams do so as well.

import { keeps, plainKeep } from "../space/choices.ts";
import { numLayersOf, placementMesh } from "../space/enumerate.ts";
import type { Core, Ending, Family, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import { leastFloors } from "./bodyStages.ts";
import type { CoreTables } from "./coreTables.ts";
import { dealsOf } from "./deals.ts";
import type { ScheduleTraits } from "./scheduleTraits.ts";
import { spreadSums } from "./spreadSums.ts";
import type { StageFloors } from "./stageFloors.ts";
import type { StepValue } from "./stepValue.ts";

interface SpreadParts {
  readonly tables: CoreTables;
  readonly traits: ScheduleTraits;
  readonly value: StepValue;
  readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];
}

/** Floors of this manner with whatever it waits for. */
interface Known {
  readonly manner: Manner;
  /** The forward of any layer may run once more. */
  readonly repeats: boolean;
}

export class SpreadBounds {
  private readonly core: Core;
  private readonly numLayers: number;
  private readonly tables: CoreTables;
  private readonly traits: ScheduleTraits;
  private readonly value: StepValue;
  private readonly endingsAt: SpreadParts["endingsAt"];
  /** Some keep copies activations to the host, which those without do not wait for. */
  private readonly mayOffload: boolean;
  private readonly exchanges = new Map<string, number>();

  constructor(job: PlanJob, core: Core, { tables, traits, value, endingsAt }: SpreadParts) {
    this.core = core;
    this.numLayers = numLayersOf(job);
    this.mayOffload = keeps(job).some((keep) => keep.offloadActivations);
    this.tables = tables;
    this.traits = traits;
    this.value = value;
    this.endingsAt = endingsAt;
  }

  kernelBound(placement: Placement, manner: Manner, best: number): number {
    return this.bound(placement, this.tables.kernelFloors(placement, manner), best, null);
  }

  mannerBound(placement: Placement, manner: Manner, best: number): number {
    const floors = this.tables.floorsFor(placement, manner, plainKeep);
    return this.bound(placement, floors, best, this.mayOffload ? null : { manner, repeats: true });
  }

  keepBound(placement: Placement, manner: Manner, keep: Keep, best: number): number {
    const floors = leastFloors(this.tables, placement, manner, keep);
    return this.bound(placement, floors, best, { manner, repeats: keep.partial });
  }

  /** Highest clock of a step better than the best, over every way to deal the layers. @param fewest layers of a rank. */
  private clockOf(placement: Placement, floors: StageFloors, best: number, of: Known | null, fewest: number): number {
    if (best === Number.POSITIVE_INFINITY || !this.value.mayHoldBack(floors)) return 1;
    const { numMicroBatches: m, pp } = placement;
    const { layerJoules, layerOther, layerMost, endsMost } = spreadSums(floors);
    const unknown = Number.POSITIVE_INFINITY;
    const least = { joules: m * fewest * layerJoules, otherSec: m * fewest * layerOther };
    if (of === null) {
      const load = { ...least, mostOtherSec: unknown, matrixSec: unknown, stallSec: unknown, serialSec: unknown };
      return this.value.clockBelow([load], best);
    }
    const waits = this.tables.endings.waitsFor(
      { placement, manner: of.manner },
      this.endingsAt(placement, of.manner.family),
      floors,
    );
    const most = dealsOf(this.numLayers, pp).reduce((max, deal) => Math.max(max, deal.most), 0);
    const sum = (field: "matrixSec" | "otherSec" | "stallSec"): number => {
      const [layer, ends] = [layerMost, endsMost].map((work) => work[field] + (of.repeats ? work.forward[field] : 0));
      return m * (most * layer! + ends!);
    };
    // Every layer may be a chunk of its own, and every block be on the same rank.
    const eachSec = waits.eachSec.at(-1)! + most * (waits.edgeSec + floors.edgeSec);
    const onceSec = waits.onceSec.at(-1)! + waits.normSec;
    const stallSec = sum("stallSec") + m * eachSec + onceSec;
    const [matrixSec, mostOtherSec] = [sum("matrixSec"), sum("otherSec")];
    const load = { ...least, mostOtherSec, matrixSec, stallSec, serialSec: unknown };
    return this.value.clockBelow([load], best);
  }

  /** Mean and ends of the pipeline over every way to deal the layers. @param of what is known of the work of a rank; null: only its least. */
  private bound(placement: Placement, floors: StageFloors, best: number, of: Known | null): number {
    const { pp, numMicroBatches: m } = placement;
    const { onlyLoops, mayPair, maySpreadHead } = this.traits;
    const { kinds, layerJoules, whole: all, ends: last } = spreadSums(floors);
    const deals = dealsOf(this.numLayers, pp);
    let fewest = onlyLoops ? Number.POSITIVE_INFINITY : 0;
    for (const deal of deals) fewest = Math.min(fewest, deal.fewest);
    const clock = this.clockOf(placement, floors, best, of, fewest);
    const slow = 1 / clock - 1;
    let layer = Number.POSITIVE_INFINITY;
    for (const each of kinds) layer = Math.min(layer, each.sec + slow * each.matrixSec);
    const ends = mayPair || maySpreadHead ? 0 : last.sec + slow * last.matrixSec;
    const whole = all.sec + slow * all.matrixSec + ends;
    let hop = 0;
    if (pp > 1) {
      const hops = this.tables.hopsFor(placement, floors);
      for (let rank = 0; rank + 1 < pp; rank++) hop += hops[rank]!;
    }
    // Two directions or V shapes have no last rank, and a split backward need not drain: the mean alone.
    let least = (m * whole) / pp;
    if (onlyLoops) {
      const fullest = Math.max(least, m * Math.ceil(this.numLayers / pp) * layer);
      least = Number.POSITIVE_INFINITY;
      for (const deal of deals)
        least = Math.min(least, Math.max(fullest, m * (deal.last * layer + ends) + deal.fill * layer + 2 * hop));
    }
    least = Math.max(least, this.exchangeSec(placement, floors));
    return this.value.valueAt(least, m * fewest * layerJoules, [least]);
  }

  /** zero2, zero3: streams of the mean rank that gather parameters and reduce gradients with every micro-batch, over the best group. */
  private exchangeSec(placement: Placement, floors: StageFloors): number {
    const { family } = floors;
    if (family === "plain") return 0;
    const { pp, numMicroBatches: m } = placement;
    const key = `${pp}:${placement.order.join("-")}:${family}`;
    let least = this.exchanges.get(key);
    if (least === undefined) {
      least = Number.POSITIVE_INFINITY;
      const endings = this.endingsAt(placement, family);
      for (const shardGroup of new Set(endings.map((ending) => ending.shardGroup))) {
        const mesh = placementMesh(this.core, placement, shardGroup);
        const { gatherSec, reduceSec } = floors.exchange(mesh);
        const gathers = family === "zero2" ? 0 : endings.some((ending) => !ending.reshardAfterForward) ? 1 : 2;
        least = Math.min(least, Math.max(gathers * gatherSec, reduceSec));
      }
      this.exchanges.set(key, least);
    }
    return (m * least) / pp;
  }
}
