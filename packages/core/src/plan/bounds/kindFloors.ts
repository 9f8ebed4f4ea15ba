// Chains of the blocks of a model in one forward or one backward, and what a run of blocks lasts at least.

import type { BlockPrices } from "../../simulate/streams/blockPrices.ts";
import { type BlockChains, type Chain, computeChain, pairChains } from "./actionPath.ts";
import { waitsForGather } from "./exchangeFloors.ts";
import type { StageFloors } from "./stageFloors.ts";
import type { Prefix } from "./workSums.ts";

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

export function kindFloors(
  prices: BlockPrices,
  kind: "F" | "BW",
  by: {
    readonly blockAt: Int32Array;
    readonly isLayer: readonly boolean[];
    /** Communication may hide behind other micro-batches: chains of compute alone. */
    readonly computeOnly: boolean;
    /** Parameters are gathered and gradients reduced with every micro-batch. */
    readonly exchanges: boolean;
  },
): KindFloors {
  const { blockAt, isLayer, computeOnly, exchanges } = by;
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
  return { stepSec, stepMatrix, last, compute, blockSec, blockMatrix, waits: exchanges ? waits : waitsForNothing };
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

function waitsForNothing(): boolean {
  return false;
}
