// What the program says a step sends and holds: bytes in the formats of its buffers. Measured ones must be equal.

import { bufferBytes, type Program } from "@meshwright/core";
import { predictedPeaks, predictedTraffic } from "../../reference/predict.ts";
import { persistentBytes } from "../launch/staticBytes.ts";

export interface PromisedBytes {
  /** Of all ranks in one step. */
  readonly sentBytes: number;
  /** By rank, in HBM. */
  readonly peakBytes: readonly number[];
}

export function promisedBytes(program: Program): PromisedBytes {
  const statics = persistentBytes(program, (decl) => (decl.tier === "hbm" ? bufferBytes(decl) : 0));
  return {
    sentBytes: predictedTraffic(program).totalSentBytes(),
    peakBytes: predictedPeaks(program, statics),
  };
}
