// Whether a strategy can fit memory, from floors of what it holds: bytes beyond the device or beyond a device's share of the host, at least. More than
// none is a proof that it does not fit; none is no proof that it does (memoryBound.ts says what is left out).
//
//   manner  once kernels are chosen: the head is neither recomputed nor offloaded, so its own activations must fit; what persists must, shared evenly.
//   keep    whatever the body, the stash of the first rank's layers, as many of them as any rank has.
//   body    the fullest rank's stash with an ending: what persists, and what zero3 has gathered.
// Nothing here depends on time or on the best strategy so far.

import type { Ending, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { type BodyStages, bodyStages, sameBody } from "./bodyStages.ts";
import type { BodyAt, CoreTables } from "./coreTables.ts";
import { dealsOf } from "./deals.ts";
import { leastHeld } from "./endingTimes.ts";
import { hostBytes, persistentFloors, stageBytes, stashFloors } from "./memoryBound.ts";
import type { ScheduleTraits } from "./scheduleTraits.ts";

/** A body's stash whatever the ending. */
interface HeldBody {
  readonly at: BodyAt;
  readonly stages: BodyStages;
  /** Per rank, on the device. */
  readonly stashBytes: Float64Array;
  /** The fullest rank's in host memory; 0 where nothing is offloaded. */
  readonly hostBytes: number;
}

export class MemoryFit {
  private readonly job: PlanJob;
  private readonly tables: CoreTables;
  private readonly traits: ScheduleTraits;
  private last: HeldBody | null = null;

  constructor(job: PlanJob, tables: CoreTables, traits: ScheduleTraits) {
    this.job = job;
    this.tables = tables;
    this.traits = traits;
  }

  /**
   * Bytes beyond the device at least, once kernels are chosen: of the head, and of what persists on the mean rank with the ending that holds least. At most
   * none where neither says so.
   */
  mannerExcess(placement: Placement, manner: Manner, endings: readonly Ending[]): number {
    return Math.max(this.headExcess(placement, manner), this.persistentExcess(placement, manner, endings));
  }

  /**
   * Bytes beyond the device at least, with any body, of a keep that treats all layers alike; at most none where that is not known. The first rank of a pipeline
   * that goes round in order holds as many micro-batches of all its layers as the pipeline is deep, in any of its schedules.
   */
  keepExcess(placement: Placement, manner: Manner, keep: Keep, endings: readonly Ending[]): number {
    const least = leastHeld(endings);
    if (least === undefined || keep.partial || !this.traits.onlyLoops) return 0;
    const { memory, layerAt } = this.tables.floorsFor(placement, manner, keep);
    const { persistentBytes } = this.tables.endings.floorsFor({ placement, manner }, least);
    const { pp, numMicroBatches } = placement;
    let layerBytes = Number.POSITIVE_INFINITY;
    for (const i of layerAt) {
      const persists = persistentBytes[i + 1]! - persistentBytes[i]!;
      layerBytes = Math.min(layerBytes, persists + Math.min(pp, numMicroBatches) * memory.at(i).afterF);
    }
    const fewest = dealsOf(layerAt.length, pp).reduce((min, deal) => Math.min(min, deal.fewest), layerAt.length);
    return fewest * layerBytes - this.capacityBytes();
  }

  private persistentExcess(placement: Placement, manner: Manner, endings: readonly Ending[]): number {
    const least = leastHeld(endings);
    if (least === undefined) return 0;
    const { persistentBytes } = this.tables.endings.floorsFor({ placement, manner }, least);
    return persistentBytes.at(-1)! / placement.pp - this.capacityBytes();
  }

  private headExcess(placement: Placement, manner: Manner): number {
    const floors = this.tables.kernelFloors(placement, manner);
    if (this.traits.maySpreadHead || !this.traits.onlyLoops) return 0;
    const first = floors.layerAt.at(-1)! + 1; // a model has layers
    let peak = 0;
    for (let i = first; i < floors.numBlocks; i++) peak = Math.max(peak, floors.memory.at(i).peakBW);
    return peak - this.capacityBytes();
  }

  /** Bytes that a body needs beyond the device, or beyond its share of the host, at least, with an ending. */
  excess(at: BodyAt, ending: Ending): number {
    const held = this.heldBy(at);
    const onDevice = this.fullestBytes(at, ending, held) - this.capacityBytes();
    if (!at.keep.offloadActivations) return onDevice;
    const { hostMemoryBytes, numDevices } = this.job.cluster.node;
    return Math.max(onDevice, held.hostBytes - hostMemoryBytes / numDevices);
  }

  /** Whether the fullest rank may fit with the ending that holds least. */
  bodyFits(at: BodyAt, endings: readonly Ending[]): boolean {
    const least = leastHeld(endings);
    return least === undefined || this.fits(at, least);
  }

  /**
   * The fewest recomputed layers of each chunk, of a partial keep, with which the fullest rank may fit with the ending that holds least; null when none to
   * `most` does.
   */
  fewestRecomputed(at: BodyAt, endings: readonly Ending[], most: number): number | null {
    const ending = leastHeld(endings);
    if (ending === undefined) return 1;
    const mayFit = (numRecomputed: number): boolean => {
      const { placement, body } = at;
      const stages = { ...bodyStages(this.tables, at), numRecomputed };
      const stashBytes = stashFloors(stages.cut, stageBytes(stages.cut, stages, true), placement, body);
      return this.fullestBytes(at, ending, { stages, stashBytes }) <= this.capacityBytes();
    };
    if (mayFit(1)) return 1;
    if (!mayFit(most)) return null;
    let [low, high] = [1, most];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (mayFit(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  endingFits(leaf: Leaf): boolean {
    return this.fits(leaf, leaf.ending);
  }

  fits(at: BodyAt, ending: Ending): boolean {
    return this.excess(at, ending) <= 0;
  }

  private capacityBytes(): number {
    return this.job.cluster.device.memoryBytes - this.job.software.reservedBytes;
  }

  /** Floor of the fullest rank's bytes on the device. */
  private fullestBytes(
    at: BodyAt,
    ending: Ending,
    { stages, stashBytes }: Pick<HeldBody, "stages" | "stashBytes">,
  ): number {
    const { cut } = stages;
    const { pp } = at.placement;
    const floors = this.tables.endings.floorsFor(at, ending);
    const persistent = persistentFloors(cut, floors, pp);
    let most = 0;
    for (let rank = 0; rank < pp; rank++) {
      let gathered = 0;
      if (ending.sharding === "zero3" && cut.rankAt[0]! >= 0) {
        for (let s = rank; s < cut.rankAt.length; s += pp)
          for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++)
            gathered = ending.reshardAfterForward
              ? Math.max(gathered, floors.gatheredBytes[i]!)
              : gathered + floors.gatheredBytes[i]!;
      }
      most = Math.max(most, persistent[rank]! + stashBytes[rank]! + gathered);
    }
    return most;
  }

  private heldBy(at: BodyAt): HeldBody {
    const known = this.last;
    if (known !== null && sameBody(known.at, at)) return known;
    const { placement, manner, keep, body } = at;
    const stages = bodyStages(this.tables, at);
    const { cut } = stages;
    const held: HeldBody = {
      at: { placement, manner, keep, body },
      stages,
      stashBytes: stashFloors(cut, stageBytes(cut, stages), placement, body),
      hostBytes: keep.offloadActivations ? Math.max(...stashFloors(cut, hostBytes(cut, stages), placement, body)) : 0,
    };
    this.last = held;
    return held;
  }
}
