// What the floors of one core (tp, cp, ep, micro-batch, precision) share, made once and remembered: lowered and priced stages, cuts, messages, simulators.

import { axisSpans } from "../../cost/axisSpans.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { defaultPace } from "../../simulate/pace.ts";
import { messageFrac, sendSeconds } from "../../simulate/transfers.ts";
import { coreStrategy, innerAxes, placementMesh } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Body, Core, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import type { BlockBytes } from "./blockMemories.ts";
import { ExchangeSimulator, endingClock } from "./endingSimulator.ts";
import { EndingTables } from "./endingTables.ts";
import { exchangeKey } from "./endingTimes.ts";
import { ofJob } from "./ofJob.ts";
import { cutStages, type StageCut } from "./pipelineBound.ts";
import { SharedLayers } from "./sharedLayers.ts";
import { type SimulatedBody, StageSimulator } from "./simulatedStages.ts";
import { type StageFloors, stageFloors } from "./stageFloors.ts";

export interface BodyAt {
  readonly placement: Placement;
  readonly manner: Manner;
  readonly keep: Keep;
  readonly body: Body;
}

const kernelsOf = new WeakMap<PlanJob, Map<string, StageFloors>>();

export class CoreTables {
  readonly endings: EndingTables;
  private readonly job: PlanJob;
  private readonly core: Core;
  private readonly numLayers: number;
  /** Communication inside a layer hides behind other work: floors of layers are compute alone. */
  private readonly computeOnly: boolean;
  private readonly floors = new Map<string, StageFloors>();
  /** The same by what they were asked for: lists of a tree keep their objects. */
  private readonly floorsAt = new Map<Placement, Map<Manner, Map<Keep, StageFloors>>>();
  private readonly hopsAt = new Map<Placement, { readonly floors: StageFloors; readonly hops: Float64Array }>();
  private readonly layers = new Map<string, SharedLayers>();
  private readonly cuts = new Map<string, StageCut>();
  private readonly links = new Map<string, string>();
  private readonly exchanges = new Map<string, ExchangeSimulator>();
  private readonly simulators = new Map<string, StageSimulator>();
  private readonly hops = new Map<string, Float64Array>();

  constructor(job: PlanJob, core: Core, numLayers: number, computeOnly: boolean) {
    this.job = job;
    this.core = core;
    this.numLayers = numLayers;
    this.computeOnly = computeOnly;
    this.endings = new EndingTables(job, core, numLayers);
  }

  floorsKey(placement: Placement, manner: Manner, keep: Keep): string {
    return `${this.layerKey(placement, manner)}${keep.name}${keep.offloadActivations}`;
  }

  private layerKey(placement: Placement, manner: Manner): string {
    const at = `${placement.pp}:${placement.order.join("-")}`;
    let links = this.links.get(at);
    if (links === undefined) {
      const mesh = placementMesh(this.core, placement);
      links = innerAxes.map((axis) => axisSpans(this.job.cluster, mesh, axis).join()).join(";");
      this.links.set(at, links);
    }
    const { sequenceParallel, family, tpOverlap, overlapCp, overlapMoeExchange } = manner;
    return `${sequenceParallel}${family}${tpOverlap}${overlapCp}${overlapMoeExchange}${links}:`;
  }

  /** Shared by all searches of the core in this thread: the first of them orders the cores by it. */
  kernelFloors(placement: Placement, manner: Manner): StageFloors {
    const { job, core } = this;
    const { sequenceParallel, family } = manner;
    const key = `${Object.values(core).join()}:${sequenceParallel}${family}`;
    const known = ofJob(kernelsOf, job);
    let found = known.get(key);
    if (found === undefined) {
      const base = coreStrategy(job, core, sequenceParallel);
      found = withoutProgram(
        stageFloors(job, {
          strategy: { ...base, sharding: family === "plain" ? "zero1" : family },
          software: softwareOf(job, manner, null, null),
          mesh: placementMesh(core, placement),
          family: "plain",
          computeOnly: true,
        }),
      );
      known.set(key, found);
    }
    return found;
  }

  floorsFor(placement: Placement, manner: Manner, keep: Keep): StageFloors {
    let byManner = this.floorsAt.get(placement);
    if (byManner === undefined) {
      byManner = new Map();
      this.floorsAt.set(placement, byManner);
    }
    let byKeep = byManner.get(manner);
    if (byKeep === undefined) {
      byKeep = new Map();
      byManner.set(manner, byKeep);
    }
    let found = byKeep.get(keep);
    if (found === undefined) {
      found = this.floorsOf(placement, manner, keep);
      byKeep.set(keep, found);
    }
    return found;
  }

  private floorsOf(placement: Placement, manner: Manner, keep: Keep): StageFloors {
    const { job, core } = this;
    const mesh = placementMesh(core, placement);
    const { sequenceParallel, family } = manner;
    const key = this.floorsKey(placement, manner, keep);
    let found = this.floors.get(key);
    if (found === undefined) {
      const base = coreStrategy(job, core, sequenceParallel);
      const strategy: Strategy = {
        ...base,
        recompute: keep.recompute,
        offloadActivations: keep.offloadActivations,
        sharding: family === "plain" ? "zero1" : family,
        reshardAfterForward: true,
      };
      found = stageFloors(job, {
        strategy,
        software: softwareOf(job, manner, null, null),
        mesh,
        family,
        computeOnly: this.hidesCommunication(manner),
        shared: this.sharedLayers(placement, manner),
      });
      this.floors.set(key, found);
    }
    return found;
  }

  /** Of one pipeline rank: keeps change nothing in a layer, and placements nothing while its groups lie on the same links. */
  private sharedLayers(placement: Placement, manner: Manner): SharedLayers {
    const key = this.layerKey(placement, manner);
    let found = this.layers.get(key);
    if (found === undefined) {
      found = new SharedLayers();
      this.layers.set(key, found);
    }
    return found;
  }

  /** Communication inside a layer hides behind other micro-batches. */
  hidesCommunication({ overlapMoeExchange }: Manner): boolean {
    return this.computeOnly || (overlapMoeExchange && this.core.ep > 1);
  }

  simulatorFor(at: BodyAt): StageSimulator {
    const { job, core } = this;
    const { placement, manner, keep } = at;
    const key = this.floorsKey(placement, manner, keep) + this.overlapKey(placement, manner);
    let found = this.simulators.get(key);
    if (found === undefined) {
      found = new StageSimulator(job, { core, placement, manner, keep }, this.sharedLayers(placement, manner));
      this.simulators.set(key, found);
    }
    return found;
  }

  /** How much of the expert exchange hides depends on the number of micro-batches beside the depth. */
  overlapKey(placement: Placement, manner: Manner): string {
    return manner.overlapMoeExchange ? `:${placement.pp}:${placement.numMicroBatches}` : "";
  }

  /** Actions with the exchange of an ending. */
  exchangeSimulator(leaf: Leaf): ExchangeSimulator {
    const { placement, manner, keep, ending } = leaf;
    const where = `${this.floorsKey(placement, manner, keep)}:${placement.pp}:${placement.order.join("-")}`;
    const key = `${where}:${exchangeKey(ending)}${this.overlapKey(placement, manner)}`;
    let found = this.exchanges.get(key);
    if (found === undefined) {
      found = new ExchangeSimulator(this.job, { core: this.core, placement, manner, keep, ending });
      this.exchanges.set(key, found);
    }
    return found;
  }

  /** The clock that a body sustains with an ending. */
  clockOf(leaf: Leaf, body: SimulatedBody): number {
    const plain = leaf.manner.family === "plain" ? this.simulatorFor(leaf) : null;
    const by = { plain, exchange: this.exchangeSimulator(leaf), tails: this.endings.tailSimulator(leaf) };
    return endingClock(this.job, leaf.placement, body, by);
  }

  cutFor(pp: number, body: Body, floors: StageFloors): StageCut {
    const key = `${pp}:${body.schedule}:${body.numChunks}:${body.balanceEmbedding}:${body.vocabOverStages}`;
    let cut = this.cuts.get(key);
    if (cut === undefined) {
      cut = cutStages(this.numLayers, floors, pp, body);
      this.cuts.set(key, cut);
    }
    return cut;
  }

  /** Seconds of one message from each pipeline rank to the next; the last entry goes back to rank 0. */
  hopsFor(placement: Placement, floors: StageFloors): Float64Array {
    const known = this.hopsAt.get(placement);
    if (known !== undefined && known.floors === floors) return known.hops;
    const hops = this.hopsOf(placement, floors);
    this.hopsAt.set(placement, { floors, hops });
    return hops;
  }

  private hopsOf(placement: Placement, floors: StageFloors): Float64Array {
    const key = `${placement.pp}:${placement.order.join("-")}:${floors.messageBytes}:${floors.scatteredSends}`;
    let hops = this.hops.get(key);
    if (hops === undefined) {
      const { cluster } = this.job;
      const { pp } = placement;
      const mesh = placementMesh(this.core, placement);
      hops = new Float64Array(pp);
      for (let rank = 0; pp > 1 && rank < pp; rank++) {
        const ends = { replica: 0, fromRank: rank, toRank: (rank + 1) % pp };
        const sent = { mesh, scatteredSends: floors.scatteredSends };
        hops[rank] =
          sendSeconds(cluster, sent, ends, floors.messageBytes) / messageFrac(cluster, defaultPace.networkFrac);
      }
      this.hops.set(key, hops);
    }
    return hops;
  }
}

/** What a search of another core may keep: a kernel's floors ask the program only for the bytes of what follows the layers. */
function withoutProgram(floors: StageFloors): StageFloors {
  const bytes = new Map<number, BlockBytes>();
  for (let i = floors.layerAt.at(-1)! + 1; i < floors.numBlocks; i++) bytes.set(i, floors.memory.at(i));
  const gone = (what: string) => (): never => {
    throw new Error(`floors of kernels know no ${what}`);
  };
  const { family, numBlocks, layerAt, messageBytes, scatteredSends, blockAt } = floors;
  const { matrixSec, otherSec, lossSec, forward, copySec, joules, levels, stallSec, forwardStallSec, edgeSec } = floors;
  return {
    ...{ family, numBlocks, layerAt, messageBytes, scatteredSends, blockAt },
    ...{ matrixSec, otherSec, lossSec, forward, copySec, joules, levels, stallSec, forwardStallSec, edgeSec },
    exchange: gone("exchange"),
    F: { ...floors.F, waits: gone("gather") },
    BW: { ...floors.BW, waits: gone("gather") },
    memory: { at: (position) => bytes.get(position) ?? gone("stash of layers")() },
  };
}
