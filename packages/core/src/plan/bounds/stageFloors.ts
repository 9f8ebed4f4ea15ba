// Floors of the seconds, energy and memory of any run of consecutive blocks of the model, for one way of lowering a layer (a manner and a keep): what
// every stage of every pipeline with this layer costs at least. One lowering and two short chains per kind of layer; a stage is then a difference of sums.
//
// Positions index the model in order: embedding, layers, (multi-token prediction), head.

import { bufferBytes } from "../../parallel/liveness.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import type { Mesh } from "../../parallel/mesh.ts";
import type { BlockUse } from "../../parallel/program.ts";
import type { Software, Strategy } from "../../parallel/strategy.ts";
import { blockMemory, optimizerKernels } from "../../simulate/memory/blockMemory.ts";
import type { BlockPrices } from "../../simulate/streams/blockPrices.ts";
import type { Family, PlanJob } from "../space/types.ts";
import { BlockMemories } from "./blockMemories.ts";
import { type KindFloors, kindFloors } from "./kindFloors.ts";
import { Once } from "./once.ts";
import { priceBlocks, SharedLayers } from "./sharedLayers.ts";
import { type BlockSums, blockSums, type Prefix } from "./workSums.ts";

export interface StageFloors extends HeldFloors, TimeFloors {}

/** What lowering alone says. */
interface HeldFloors {
  readonly family: Family;
  readonly numBlocks: number;
  /** Position of each layer. */
  readonly layerAt: Int32Array;
  /** Bytes of the hidden states that a stage hands on. */
  readonly messageBytes: number;
  /** They travel in parts over tp (Program.scatteredSends). */
  readonly scatteredSends: boolean;
  /** Blocks of the lowered program, by position. */
  readonly blockAt: Int32Array;
  readonly memory: Pick<BlockMemories, "at">;
}

/** What takes prices. */
interface TimeFloors extends BlockSums {
  /**
   * What keeps compute waiting in one forward and backward, at most: the chains beyond compute, and what is lost beside them. Where communication may hide
   * behind other micro-batches, all of it.
   */
  readonly stallSec: Prefix;
  /** The forward's part of it, which a recomputation may repeat. */
  readonly forwardStallSec: Prefix;
  /** What the last block of an action may wait beyond that. */
  readonly edgeSec: number;
  /** Seconds to gather the model's parameters once and to reduce its gradients once, over the groups of a mesh. */
  readonly exchange: (mesh: Mesh) => { readonly gatherSec: number; readonly reduceSec: number };
  readonly F: KindFloors;
  readonly BW: KindFloors;
}

/**
 * @param strategy one pipeline rank, one micro-batch (space/enumerate.ts coreStrategy with manner and keep); its blocks are those of every depth.
 * @param mesh where the ranks really lie.
 * @param computeOnly communication may hide behind other micro-batches: chains of compute alone.
 */
export function stageFloors(
  job: PlanJob,
  at: {
    readonly strategy: Strategy;
    readonly software: Software;
    readonly mesh: Mesh;
    readonly family: Family;
    readonly computeOnly: boolean;
    readonly shared?: SharedLayers;
  },
): StageFloors {
  const { strategy, software, mesh, shared = new SharedLayers() } = at;
  const workload = { ...job.workload, globalBatch: strategy.microBatch * strategy.dp };
  const program = lowerTraining(job.model, strategy, workload, software, { shared: shared.blocks });
  const uses = program.stages[0]!.uses; // one rank holds the whole model
  const blockAt = Int32Array.from(uses, (use) => use.block);
  const { isLayer, layerAt } = layerPositions(uses);
  const handed = program.blocks[blockAt[layerAt[0]!]!]!;
  const reduceEach = program.reducePolicy === "everyMicroBatch";
  const memory = new BlockMemories(program.blocks, blockAt, (block) =>
    blockMemory(block, { splitBackward: false, reduceEach, optimizer: optimizerKernels(software) }),
  );
  const held: HeldFloors = {
    family: at.family,
    numBlocks: uses.length,
    layerAt,
    messageBytes: handed.outputs.reduce((sum, id) => sum + bufferBytes(handed.buffers[id]!), 0),
    scatteredSends: program.scatteredSends,
    blockAt,
    memory,
  };
  return new PricedWhenAsked(held, () => {
    const prices = priceBlocks(job, program, { mesh, software, shared: shared.prices });
    const sums = blockSums(prices, blockAt, software);
    const by = { blockAt, isLayer, computeOnly: at.computeOnly, exchanges: at.family !== "plain" };
    const [F, BW] = [kindFloors(prices, "F", by), kindFloors(prices, "BW", by)];
    const exchange = (over: Mesh) => exchangeOver(priceBlocks(job, program, { mesh: over, software }), blockAt);
    return { F, BW, ...sums, ...stalls(sums, F, BW), exchange: by.exchanges ? exchange : noExchange };
  });
}

/** Parameters and gradients stay whole in every micro-batch. */
function noExchange(): { gatherSec: number; reduceSec: number } {
  return { gatherSec: 0, reduceSec: 0 };
}

function exchangeOver(prices: BlockPrices, blockAt: Int32Array): { gatherSec: number; reduceSec: number } {
  const sum = (block: number, list: "gather" | "reduce") =>
    prices.list(block, list).reduce((total, { priced }) => total + (priced.level < 0 ? 0 : priced.durationSec), 0);
  const known = new Map<number, readonly [number, number]>();
  let gatherSec = 0;
  let reduceSec = 0;
  for (const block of blockAt) {
    let each = known.get(block);
    if (each === undefined) {
      each = [sum(block, "gather"), sum(block, "reduce")];
      known.set(block, each);
    }
    gatherSec += each[0];
    reduceSec += each[1];
  }
  return { gatherSec, reduceSec };
}

/** What does not fit needs no price. */
class PricedWhenAsked implements StageFloors {
  readonly family: Family;
  readonly numBlocks: number;
  readonly layerAt: Int32Array;
  readonly messageBytes: number;
  readonly scatteredSends: boolean;
  readonly blockAt: Int32Array;
  readonly memory: HeldFloors["memory"];
  private readonly later: Once<TimeFloors>;

  constructor(held: HeldFloors, price: () => TimeFloors) {
    this.family = held.family;
    this.numBlocks = held.numBlocks;
    this.layerAt = held.layerAt;
    this.messageBytes = held.messageBytes;
    this.scatteredSends = held.scatteredSends;
    this.blockAt = held.blockAt;
    this.memory = held.memory;
    this.later = new Once(price);
  }

  private get priced(): TimeFloors {
    return this.later.get();
  }

  get F() {
    return this.priced.F;
  }
  get BW() {
    return this.priced.BW;
  }
  get matrixSec() {
    return this.priced.matrixSec;
  }
  get otherSec() {
    return this.priced.otherSec;
  }
  get lossSec() {
    return this.priced.lossSec;
  }
  get forward() {
    return this.priced.forward;
  }
  get copySec() {
    return this.priced.copySec;
  }
  get joules() {
    return this.priced.joules;
  }
  get levels() {
    return this.priced.levels;
  }
  get stallSec() {
    return this.priced.stallSec;
  }
  get forwardStallSec() {
    return this.priced.forwardStallSec;
  }
  get edgeSec() {
    return this.priced.edgeSec;
  }
  get exchange() {
    return this.priced.exchange;
  }
}

const knownLayers = new Map<string, boolean>();

/** Which blocks of a model are layers, by their labels. */
function layerPositions(uses: readonly BlockUse[]): { readonly isLayer: boolean[]; readonly layerAt: Int32Array } {
  const isLayer: boolean[] = [];
  const layerAt: number[] = [];
  for (const { label } of uses) {
    let layer = knownLayers.get(label);
    if (layer === undefined) {
      layer = /(^|\.)layers\./.test(label);
      knownLayers.set(label, layer);
    }
    if (layer) layerAt.push(isLayer.length);
    isLayer.push(layer);
  }
  return { isLayer, layerAt: Int32Array.from(layerAt) };
}

function stalls(
  sums: BlockSums,
  F: KindFloors,
  BW: KindFloors,
): Pick<StageFloors, "stallSec" | "forwardStallSec" | "edgeSec"> {
  const numBlocks = F.blockSec.length;
  const stallSec = new Float64Array(numBlocks + 1);
  const forwardStallSec = new Float64Array(numBlocks + 1);
  let edgeSec = 0;
  for (let i = 0; i < numBlocks; i++) {
    let edge = 0;
    const beyond = ({ stepSec, blockSec, last }: KindFloors): number => {
      const step = stepSec[i + 1]! - stepSec[i]!;
      edge += Math.max(0, last[i]!.sec - step);
      return Math.max(0, step - blockSec[i]!);
    };
    const forward = beyond(F);
    forwardStallSec[i + 1] = forwardStallSec[i]! + forward + sums.forward.lossSec[i + 1]! - sums.forward.lossSec[i]!;
    stallSec[i + 1] = stallSec[i]! + forward + beyond(BW) + sums.lossSec[i + 1]! - sums.lossSec[i]!;
    edgeSec = Math.max(edgeSec, edge);
  }
  return { stallSec, forwardStallSec, edgeSec };
}
