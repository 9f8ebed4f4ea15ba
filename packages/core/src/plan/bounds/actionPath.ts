// A lower bound of one action's seconds: the longest chain of its ops that must run one after another.
//
// The stream engine (simulate/streams) never starts an op before the ops it depends on and the one before it on its stream have ended, and never runs it
// faster than alone: contention, the host and read-backs only add. So, over any one chain of such waits, the sum of durations alone is no longer than the run.
// Chains here begin with the first compute op of a block, because compute is one stream in order: the chain of a stage is the chains of its blocks,
// each from its first compute op to the next block's.
//
// Each bound is two numbers, so that it holds at any clock: seconds of matrix ops at boost clock, which grow as 1 / clock, and all other seconds.

import type { BlockPrices, OpList } from "../../simulate/streams/blockPrices.ts";
import { buildAction } from "../../simulate/streams/buildAction.ts";
import { NUM_STREAMS } from "../../simulate/streams/streamOps.ts";

/** Seconds of a chain at boost clock, and the part of it that is matrix work. */
export interface Chain {
  readonly sec: number;
  readonly matrixSec: number;
}

export interface BlockChains {
  /** From the block's first compute op to the start of the next block's first compute op. */
  readonly step: Chain;
  /** From the block's first compute op to the end of its last compute op: holds whatever follows. */
  readonly compute: Chain;
  /** From the block's first compute op to the end of everything the action waits for, where the action ends with this block. */
  readonly last: Chain;
}

/** Chains of `block` followed by `next` in processing order, for the forward (F) or the whole backward (BW). */
export function pairChains(prices: BlockPrices, kind: "F" | "BW", block: number, next: number): BlockChains {
  const { ops } = buildAction(prices, { kind, blocks: [block, next], gather: false, reduce: false });
  const { stream, durationSec, deps, matrix, position, spills } = ops;
  const numOps = stream.length;
  const endSec = new Float64Array(numOps).fill(Number.NEGATIVE_INFINITY);
  const endMatrix = new Float64Array(numOps);
  const previous = new Int32Array(NUM_STREAMS).fill(-1);
  let started = false;
  let step: Chain | null = null;
  let compute: Chain = none;
  let last: Chain = none;
  for (let i = 0; i < numOps; i++) {
    const s = stream[i]!;
    let sec = Number.NEGATIVE_INFINITY;
    let matrixSec = 0;
    if (!started && s === 0 && position[i] === 0) {
      started = true;
      sec = 0;
    }
    const before = previous[s]!;
    if (before >= 0 && endSec[before]! > sec) {
      sec = endSec[before]!;
      matrixSec = endMatrix[before]!;
    }
    for (let d = i * NUM_STREAMS, end = d + NUM_STREAMS; d < end; d++) {
      const dep = deps[d]!;
      if (dep < 0 || endSec[dep]! <= sec) continue;
      sec = endSec[dep]!;
      matrixSec = endMatrix[dep]!;
    }
    previous[s] = i;
    if (position[i] === 1 && s === 0) {
      step = { sec, matrixSec };
      break;
    }
    if (sec === Number.NEGATIVE_INFINITY) continue;
    endSec[i] = sec + durationSec[i]!;
    endMatrix[i] = matrixSec + (matrix[i] === 1 ? durationSec[i]! : 0);
    if (position[i] === 0) {
      const here: Chain = { sec: endSec[i]!, matrixSec: endMatrix[i]! };
      if (s === 0) compute = here;
      if (spills[i] === 0 && here.sec > last.sec) last = here;
    }
  }
  return { step: step ?? compute, compute, last };
}

const none: Chain = { sec: 0, matrixSec: 0 };

/** Compute ops of a block one after another: the chain of its compute stream alone. */
export function computeChain(prices: BlockPrices, list: OpList, block: number): Chain {
  let sec = 0;
  let matrixSec = 0;
  for (const { priced } of prices.list(block, list)) {
    if (priced.op.stream !== "compute") continue;
    sec += priced.durationSec;
    if (priced.matrix) matrixSec += priced.durationSec;
  }
  return { sec, matrixSec };
}
