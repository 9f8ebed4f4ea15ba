// The limits of one core as WebAssembly reaches them: arithmetic on registers, and a copy between arrays that no cache holds.

import type { ArenaMats } from "../memory/index.ts";
import { type Effort, timeOf } from "./timing.ts";

export interface CoreLimits {
  readonly peakFlopsPerSec: number;
  /** Read plus written. */
  readonly memoryBytesPerSec: number;
}

/** 12 chains of a multiplication and an addition of 4 values in a round of the loop. */
const flopsPerRound = 96;
const rounds = 20_000;

// 32 MiB from one array to another: more than what a core has of the last cache on most machines.
const [numRows, numCols] = [8192, 1024];
/** Memory that coreLimits() takes, with the scratch of the kernels' module. */
export const limitBytes = 4 * 2 * numRows * numCols + 2 ** 23;

/** @param peakLoop of the kernels' module: so many rounds of multiplications and additions. */
export function coreLimits(mats: ArenaMats, peakLoop: (rounds: number) => number, effort: Effort): CoreLimits {
  const loopSec = timeOf(() => peakLoop(rounds), effort);
  const length = numRows * numCols;
  const from = mats.allocate(numRows, numCols, 0);
  const to = mats.allocate(numRows, numCols, 0);
  from.data.fill(1, from.offset, from.offset + length);
  const copy = () => to.data.copyWithin(to.offset, from.offset, from.offset + length);
  const copySec = timeOf(copy, { ...effort, batchSec: 0 });
  mats.release(from);
  mats.release(to);
  return {
    peakFlopsPerSec: (flopsPerRound * rounds) / loopSec,
    memoryBytesPerSec: (2 * 4 * length) / copySec,
  };
}
