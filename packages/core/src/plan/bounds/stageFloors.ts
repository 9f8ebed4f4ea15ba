// Floors of the seconds, energy and memory of any run of consecutive blocks of the model, for one way of lowering a layer (a manner and a keep): what
// every stage of every pipeline with this layer costs at least. One lowering and two short chains per kind of layer; a stage is then a difference of sums.
//
// Positions index the model in order: embedding, layers, (multi-token prediction), head.

import { opContext } from "../../cost/opContext.ts";
import { bufferBytes } from "../../parallel/liveness.ts";
import { lowerTraining, SharedBlocks } from "../../parallel/lower/index.ts";
import type { Mesh } from "../../parallel/mesh.ts";
import type { Block, BlockUse, Program } from "../../parallel/program.ts";
import type { Software, Strategy } from "../../parallel/strategy.ts";
import { defaultContention } from "../../simulate/contention.ts";
import { type BlockMemory, blockMemory, optimizerKernels, sumBytes } from "../../simulate/memory/blockMemory.ts";
import { defaultPace, paceOf } from "../../simulate/pace.ts";
import { type BlockPrices, blockPrices, SharedPrices } from "../../simulate/streams/blockPrices.ts";
import type { Family, PlanJob } from "../space/types.ts";
import { type BlockChains, type Chain, computeChain, pairChains } from "./actionPath.ts";
import { waitsForGather } from "./exchangeFloors.ts";
import { type BlockSums, blockSums, type Prefix } from "./workSums.ts";

export interface StageFloors extends BlockSums {
  /**
   * What keeps compute waiting in one forward and backward, at most: the chains beyond compute, and what is lost beside them. Where communication may hide
   * behind other micro-batches, all of it.
   */
  readonly stallSec: Prefix;
  /** The forward's part of it, which a recomputation may repeat. */
  readonly forwardStallSec: Prefix;
  /** What the last block of an action may wait beyond that. */
  readonly edgeSec: number;
  readonly family: Family;
  readonly numBlocks: number;
  /** Seconds to gather the model's parameters once and to reduce its gradients once, over the groups of a mesh. */
  readonly exchange: (mesh: Mesh) => { readonly gatherSec: number; readonly reduceSec: number };
  /** Position of each layer. */
  readonly layerAt: Int32Array;
  /** Bytes of the hidden states that a stage hands on. */
  readonly messageBytes: number;
  /** They travel in parts over tp (Program.scatteredSends). */
  readonly scatteredSends: boolean;
  /** Blocks of the lowered program, by position. */
  readonly blockAt: Int32Array;
  readonly F: KindFloors;
  readonly BW: KindFloors;
  readonly memory: Pick<BlockMemories, "at">;
}

export interface KindFloors {
  /** Chain from a block's first compute op to the next processed block's, summed over positions. */
  readonly stepSec: Prefix;
  readonly stepMatrix: Prefix;
  readonly last: readonly Chain[];
  readonly compute: readonly Chain[];
  /** Compute of each block, and the part of it that is matrix work. */
  readonly blockSec: Float64Array;
  readonly blockMatrix: Float64Array;
  /** Whether nothing of the block at a position computes before its parameters are gathered. */
  readonly waits: (position: number) => boolean;
}

export function priceBlocks(
  job: PlanJob,
  program: Program,
  at: { readonly mesh: Mesh; readonly software: Software; readonly shared?: SharedPrices | undefined },
): BlockPrices {
  const { mesh, software, shared } = at;
  const context = opContext({ cluster: job.cluster, mesh, software });
  return blockPrices(program, context, defaultContention, paceOf(job.cluster, software, 1, defaultPace), shared);
}

/** What floors of one way to lower a layer share, whatever is kept of it. */
export class SharedLayers {
  readonly blocks = new SharedBlocks();
  readonly prices: SharedPrices;

  /** @param anyMesh of placements whose groups lie on different links. */
  constructor(anyMesh = false) {
    this.prices = new SharedPrices(anyMesh);
  }
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
  const prices = priceBlocks(job, program, { mesh, software, shared: shared.prices });
  const uses = program.stages[0]!.uses; // one rank holds the whole model
  const numBlocks = uses.length;
  const blockAt = Int32Array.from(uses, (use) => use.block);
  const { isLayer, layerAt } = layerPositions(uses);
  const handed = program.blocks[blockAt[layerAt[0]!]!]!;
  const messageBytes = handed.outputs.reduce((sum, id) => sum + bufferBytes(handed.buffers[id]!), 0);
  const chains = (kind: "F" | "BW"): KindFloors => kindFloors(prices, kind, blockAt, isLayer, at.computeOnly);
  const [F, BW] = [chains("F"), chains("BW")];
  const sums = blockSums(prices, blockAt, software);
  const reduceEach = program.reducePolicy === "everyMicroBatch";
  const memory = new BlockMemories(program, blockAt, (block) =>
    blockMemory(block, { splitBackward: false, reduceEach, optimizer: optimizerKernels(software) }),
  );
  const exchange = (mesh: Mesh) => {
    const there = priceBlocks(job, program, { mesh, software });
    const secOf = new Map<number, readonly [number, number]>();
    let gatherSec = 0;
    let reduceSec = 0;
    for (const block of blockAt) {
      let each = secOf.get(block);
      if (each === undefined) {
        const sum = (list: "gather" | "reduce") =>
          there.list(block, list).reduce((total, { priced }) => total + (priced.level < 0 ? 0 : priced.durationSec), 0);
        each = [sum("gather"), sum("reduce")];
        secOf.set(block, each);
      }
      gatherSec += each[0];
      reduceSec += each[1];
    }
    return { gatherSec, reduceSec };
  };
  return {
    family: at.family,
    exchange,
    numBlocks,
    layerAt,
    messageBytes,
    scatteredSends: program.scatteredSends,
    blockAt,
    F,
    BW,
    ...sums,
    ...stalls(sums, F, BW),
    memory,
  };
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

/** Stash and peaks of one micro-batch by position, worked out when they are first asked for. */
export class BlockMemories {
  private readonly program: Program;
  private readonly blockAt: Int32Array;
  private readonly make: (block: Block) => BlockMemory;
  private readonly known = new Map<number, BlockBytes>();

  constructor(program: Program, blockAt: Int32Array, make: (block: Block) => BlockMemory) {
    this.program = program;
    this.blockAt = blockAt;
    this.make = make;
  }

  at(position: number): BlockBytes {
    const block = this.blockAt[position]!;
    let bytes = this.known.get(block);
    if (bytes === undefined) {
      const memory = this.make(this.program.blocks[block]!);
      bytes = {
        afterF: sumBytes(memory.F.after),
        peakF: sumBytes(memory.F.peak),
        peakBW: sumBytes(memory.B.peak),
        hostF: memory.hostStashBytes,
      };
      this.known.set(block, bytes);
    }
    return bytes;
  }
}

export interface BlockBytes {
  /** Stash of one micro-batch after the forward. */
  readonly afterF: number;
  /** Most that an action of the block holds. */
  readonly peakF: number;
  readonly peakBW: number;
  /** Offloaded to the host per micro-batch, until its backward. */
  readonly hostF: number;
}

function kindFloors(
  prices: BlockPrices,
  kind: "F" | "BW",
  blockAt: Int32Array,
  isLayer: readonly boolean[],
  computeOnly: boolean,
): KindFloors {
  const numBlocks = blockAt.length;
  const list = kind === "F" ? "forward" : "BW";
  const stepSec = new Float64Array(numBlocks + 1);
  const stepMatrix = new Float64Array(numBlocks + 1);
  const last: Chain[] = [];
  const compute: Chain[] = [];
  const pairs = new Map<number, BlockChains>();
  const alone = new Map<number, Chain>();
  const ofCompute = (block: number): Chain => {
    let chain = alone.get(block);
    if (chain === undefined) {
      chain = computeChain(prices, list, block);
      alone.set(block, chain);
    }
    return chain;
  };
  const blockSec = new Float64Array(numBlocks);
  const blockMatrix = new Float64Array(numBlocks);
  const waiting = new Map<number, boolean>();
  for (let i = 0; i < numBlocks; i++) {
    const block = blockAt[i]!;
    const whole = ofCompute(block);
    blockSec[i] = whole.sec;
    blockMatrix[i] = whole.matrixSec;
    const next = kind === "F" ? i + 1 : i - 1;
    let chains: BlockChains;
    // Embedding and head are a small part: their compute alone. A last layer is followed by another of its kind in the pair, which only its own ops read.
    if (computeOnly || !isLayer[i]!) {
      const chain = ofCompute(block);
      chains = { step: chain, compute: chain, last: chain };
    } else {
      const followed = next >= 0 && next < numBlocks && isLayer[next] === true;
      const other = followed ? blockAt[next]! : block;
      const key = block * 4096 + other;
      let found = pairs.get(key);
      if (found === undefined) {
        found = pairChains(prices, kind, block, other);
        pairs.set(key, found);
      }
      chains = followed ? found : { ...found, step: found.compute };
    }
    stepSec[i + 1] = stepSec[i]! + chains.step.sec;
    stepMatrix[i + 1] = stepMatrix[i]! + chains.step.matrixSec;
    last.push(chains.last);
    compute.push(chains.compute);
  }
  const waits = (position: number): boolean => {
    const block = blockAt[position]!;
    let known = waiting.get(block);
    if (known === undefined) {
      known = waitsForGather(prices, kind, block);
      waiting.set(block, known);
    }
    return known;
  };
  return { stepSec, stepMatrix, last, compute, blockSec, blockMatrix, waits };
}

/** Seconds of one forward and one backward of positions [from, to) at a clock. */
export function stageSec(floors: StageFloors, kind: "F" | "BW", from: number, to: number, clockFrac: number): number {
  if (to <= from) return 0;
  const slower = 1 / clockFrac - 1;
  const { stepSec, stepMatrix, last } = floors[kind];
  if (kind === "F") {
    const end = last[to - 1]!;
    const sec = stepSec[to - 1]! - stepSec[from]! + end.sec;
    return sec + slower * (stepMatrix[to - 1]! - stepMatrix[from]! + end.matrixSec);
  }
  const end = last[from]!;
  const sec = stepSec[to]! - stepSec[from + 1]! + end.sec;
  const chain = sec + slower * (stepMatrix[to]! - stepMatrix[from + 1]! + end.matrixSec);
  return Math.max(chain, floors.copySec[to]! - floors.copySec[from]!);
}

/** Compute of the positions [from, to) before something else of the same action: no wait at the end. */
export function leadSec(floors: StageFloors, kind: "F" | "BW", from: number, to: number, clockFrac: number): number {
  if (to <= from) return 0;
  const slower = 1 / clockFrac - 1;
  const { stepSec, stepMatrix, compute } = floors[kind];
  const [first, last, edge] = kind === "F" ? [from, to - 1, to - 1] : [from + 1, to, from];
  const end = compute[edge]!;
  return stepSec[last]! - stepSec[first]! + end.sec + slower * (stepMatrix[last]! - stepMatrix[first]! + end.matrixSec);
}
