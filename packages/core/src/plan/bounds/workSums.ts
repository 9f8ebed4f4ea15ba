// Seconds and energy of the blocks of a model in one forward and backward, by what they are: sums before each position.

import type { Software } from "../../parallel/strategy.ts";
import { defaultContention, type OpDemand } from "../../simulate/contention.ts";
import type { BlockPrices, PreparedOp } from "../../simulate/streams/blockPrices.ts";
import { READ_BACK_SEC } from "../../simulate/streams/runStreams.ts";

/** Sums before each position; entry i is the sum over positions below i. */
export type Prefix = Float64Array;

/** Alone and at boost clock. */
export interface WorkSums {
  readonly matrixSec: Prefix;
  /** Compute other than matrix work. */
  readonly otherSec: Prefix;
  /**
   * What an action lasts beyond the longest chain of its ops, at most: launches and read-backs by the host, and what its ops take from each other beside
   * one another.
   */
  readonly lossSec: Prefix;
}

export interface BlockSums extends WorkSums {
  /** Of the forward alone, which a recomputation may repeat. */
  readonly forward: WorkSums;
  /** Stashed activations on their way back to the device in the backward. */
  readonly copySec: Prefix;
  /** Dynamic energy. */
  readonly joules: Prefix;
  /** Network levels that collectives of layers cross. */
  readonly levels: ReadonlySet<number>;
}

const FIELDS = 8;

export function blockSums(prices: BlockPrices, blockAt: Int32Array, software: Software): BlockSums {
  const known = new Map<number, Float64Array>();
  const levels = new Set<number>();
  const sums = Array.from({ length: FIELDS }, () => new Float64Array(blockAt.length + 1));
  blockAt.forEach((block, i) => {
    let own = known.get(block);
    if (own === undefined) {
      own = sumsOf(prices, block, software, levels);
      known.set(block, own);
    }
    for (let k = 0; k < FIELDS; k++) sums[k]![i + 1] = sums[k]![i]! + own[k]!;
  });
  const at = (k: number): Prefix => sums[k]!;
  return {
    matrixSec: at(0),
    otherSec: at(1),
    lossSec: at(2),
    forward: { matrixSec: at(3), otherSec: at(4), lossSec: at(5) },
    copySec: at(6),
    joules: at(7),
    levels,
  };
}

function sumsOf(prices: BlockPrices, block: number, software: Software, levels: Set<number>): Float64Array {
  const launchSec = software.cudaGraphs === "full" ? 0 : software.hostSecPerKernel;
  const sums = new Float64Array(FIELDS);
  for (const list of ["forward", "BW"] as const) {
    const ops = prices.list(block, list);
    const shares = shareLinks(ops);
    for (const { priced, demand } of ops) {
      const { op, durationSec } = priced;
      sums[7]! += priced.joules;
      sums[2]! += priced.numLaunches * launchSec + (op.hostSync === true ? READ_BACK_SEC : 0);
      if (op.stream !== "compute")
        sums[2]! += shares || op.stream === "copy" ? durationSec : lossSec(durationSec, demand);
      else sums[priced.matrix ? 0 : 1]! += durationSec;
      if (list === "BW" && op.stream === "copy") sums[6]! += durationSec;
      if (priced.level >= 0) levels.add(priced.level);
    }
    if (list === "forward") sums.copyWithin(3, 0, 3);
  }
  return sums;
}

/** What a collective and the compute beside it lose to each other at most, in seconds of the two together (simulate/contention.ts). */
export function lossSec(durationSec: number, { unitFrac, hbmFrac, rateBesideCompute }: OpDemand): number {
  const taken = Math.min(1 - defaultContention.computeFloor, Math.max(unitFrac, hbmFrac));
  return durationSec * (1 / rateBesideCompute - 1 + taken / (1 - taken));
}

/** Whether collectives of several streams cross the same level: each may wait for the other. */
function shareLinks(ops: readonly PreparedOp[]): boolean {
  const streams = new Map<number, string>();
  for (const { priced } of ops) {
    if (priced.level < 0) continue;
    const stream = streams.get(priced.level);
    if (stream !== undefined && stream !== priced.op.stream) return true;
    streams.set(priced.level, priced.op.stream);
  }
  return false;
}
