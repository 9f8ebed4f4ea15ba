// Whether a strategy can fit memory, from floors of what it holds: bytes beyond the device or beyond a device's share of the host, at least. More than
// none is a proof that it does not fit; none is no proof that it does (memoryBound.ts says what is left out).
//
//   head    once kernels are chosen: the head is neither recomputed nor offloaded, so its own activations must fit.
//   body    the fullest rank's stash with an ending: what persists, and what zero3 has gathered.
// Nothing here depends on time or on the best strategy so far.

import type { Ending, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { type BodyStages, bodyStages, sameBody } from "./bodyStages.ts";
import type { BodyAt, CoreTables } from "./coreTables.ts";
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

  /** Bytes that the head needs beyond the device at least. */
  headExcess(placement: Placement, manner: Manner): number {
    const floors = this.tables.kernelFloors(placement, manner);
    if (this.traits.maySpreadHead || !this.traits.onlyLoops) return 0;
    const first = floors.layerAt.at(-1)! + 1; // a model has layers
    let peak = 0;
    for (let i = first; i < floors.numBlocks; i++) peak = Math.max(peak, floors.memory.at(i).peakBW);
    return peak - this.capacityBytes();
  }

  headFits(placement: Placement, manner: Manner): boolean {
    return this.headExcess(placement, manner) <= 0;
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
  private fullestBytes(at: BodyAt, ending: Ending, { stages, stashBytes }: HeldBody): number {
    const { cut } = stages;
    const { pp } = at.placement;
    const floors = this.tables.endingFor(at, ending);
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
