// The physics of one varlen attention call over a mixed batch: a prefill chunk behind its cached prefix, and decodes.
//
// With a chunk in the batch the kernel does not split the cache of a sequence over units: one block walks it from end to end, and the longest
// walk bounds the call (vLLM, FlashAttention-2 varlen). A batch of decodes alone is split.

import type { DeviceSpec } from "../../cluster/types.ts";
import { exponentialsPerSec, peakFlopsPerSec, trafficSec } from "./roofline.ts";

export interface MixedShape {
  /** New prompt tokens and cached tokens before them; 0 without a chunk. */
  readonly chunk: number;
  readonly prefix: number;
  readonly numDecodes: number;
  /** Cached tokens of each decode. */
  readonly kvLen: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

export const MIXED_PARAMS = [
  {
    name: "walk",
    start: 1.3,
    note: "one block's products with one cached token, over their time at the peak of a unit",
  },
  { name: "residency", start: 2, note: "blocks a unit keeps in flight" },
  { name: "decodeWeight", start: 0.4, note: "cost of a decode block's token relative to a prefill block's" },
  { name: "floorUs", start: 8, note: "launch and drain, microseconds" },
  { name: "stream", start: 0.8, note: "share of the data-sheet bandwidth" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
  { name: "l2Share", start: 0.6, note: "share of L2 that keeps the cache between calls" },
  { name: "overlap", start: 3, note: "power norm joining longest walk, all walks and traffic" },
  { name: "splitTokens", start: 300, note: "walk length to which decodes alone are split" },
  { name: "blockRows", start: 96, note: "query rows of a block" },
  { name: "softmax", start: 2.5, note: "softmax of a query-key pair over one exponential at full rate" },
] as const;

/** Seconds of one call on buffers that were used just before. */
export function mixedSeconds(device: DeviceSpec, shape: MixedShape, params: readonly number[]): number {
  const [walk, residency, decodeWeight, floorUs, stream, l2Rate, l2Share, overlap, splitTokens, blockRows, softmax] =
    params as readonly number[] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
  const { chunk, prefix, numDecodes, kvLen } = shape;
  const pairSec = (walk * 4 * shape.headDim) / peakFlopsPerSec(device, "bf16") + softmax / exponentialsPerSec(device);
  const tokenSec = pairSec * blockRows * device.units;
  const chunkWalk = chunk > 0 ? prefix + chunk : 0;
  const alone = chunk === 0;
  const decodeWalk =
    numDecodes === 0
      ? 0
      : alone
        ? Math.min(kvLen, Math.max(splitTokens, (kvLen * numDecodes * shape.kvHeads) / (2 * device.units)))
        : kvLen;
  const walkSec = Math.max(chunkWalk, decodeWalk) * tokenSec;
  const chunkTokens = shape.heads * Math.ceil(chunk / blockRows) * (prefix + chunk / 2);
  const decodeTokens = (alone ? shape.kvHeads : shape.heads) * numDecodes * kvLen * decodeWeight;
  const allSec = ((chunkTokens + decodeTokens) * tokenSec) / (device.units * residency);
  const bytes =
    4 * shape.kvHeads * shape.headDim * (chunkWalk + numDecodes * kvLen) +
    4 * shape.heads * shape.headDim * (chunk + numDecodes);
  const hit = Math.min(1, (l2Share * device.l2Bytes) / bytes) ** 2;
  const memorySec = trafficSec(device, bytes, hit, stream, l2Rate);
  const largest = Math.max(walkSec, allSec, memorySec, 1e-9);
  const sum = (walkSec / largest) ** overlap + (allSec / largest) ** overlap + (memorySec / largest) ** overlap;
  return floorUs * 1e-6 + largest * sum ** (1 / overlap);
}
