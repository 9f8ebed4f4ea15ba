// The physics of fused attention: blocks of query rows of every head are tiles on compute units; each walks its keys once.
//
// Work is 2 (d + dv) flops per computed query-key pair forward (QK^T and PV) and 5/2 of that backward (five products instead of two,
// FlashAttention-2, arXiv 2307.08691, section 3.1), and one exponential per pair, which goes through the special-function units: beside products that
// double in rate every generation and halve in width, their fixed rate is what bounds narrow heads and 8-bit formats (FlashAttention-3, arXiv 2407.08608,
// section 3.2). Masked pairs in the blocks on the diagonal are computed too.
// Decode reads the cache once; units fill by (sequence, kv head, chunk of the cache).

import type { DeviceSpec } from "../../cluster/types.ts";
import { exponentialsPerSec, peakFlopsPerSec, tileUnits, trafficSec } from "./roofline.ts";

export interface AttentionShape {
  readonly batch: number;
  readonly seqQ: number;
  readonly seqKv: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly pairs: number;
  readonly dtype: "bf16" | "fp16" | "fp8";
  readonly warm: boolean;
}

export const ATTENTION_PARAMS = [
  { name: "mainLoop", start: 0.75, note: "share of the matrix peak the two products sustain, softmax apart" },
  {
    name: "softmax",
    start: 0.9,
    note: "time of a pair's softmax over one exponential at full rate, as far as products do not hide it",
  },
  { name: "diagonal", start: 64, note: "masked keys computed per query row" },
  { name: "fillUs", start: 1, note: "prologue of a tile, microseconds" },
  { name: "tail", start: 0.5, note: "share of the longest tile that the last wave adds" },
  { name: "floorUs", start: 5, note: "launch and drain, microseconds" },
  { name: "stream", start: 0.7, note: "share of the data-sheet bandwidth" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
  { name: "l2Share", start: 0.5, note: "share of L2 that keeps operands between calls" },
  { name: "overlap", start: 2, note: "power norm joining compute and memory time" },
] as const;

const BLOCK_ROWS = 128;

/** Seconds of one forward call. `speed` scales the rate of products and softmax together (implementation, clock). */
export function attentionSeconds(
  device: DeviceSpec,
  shape: AttentionShape,
  params: readonly number[],
  speed = 1,
): number {
  const [mainLoop, softmax, diagonal, fillUs, tail, floorUs, stream, l2Rate, l2Share, overlap] =
    params as readonly number[] as [number, number, number, number, number, number, number, number, number, number];
  const dims = shape.headDim + shape.vHeadDim;
  const productSec = 1 / (peakFlopsPerSec(device, shape.dtype) * Math.min(1, mainLoop));
  const softmaxSec = softmax / (2 * dims * exponentialsPerSec(device));
  const units = tileUnits(device);
  const unitRate = speed / ((productSec + softmaxSec) * units);
  const blocks = Math.ceil(shape.seqQ / BLOCK_ROWS);
  const paddedRows = shape.seqQ < BLOCK_ROWS ? Math.ceil(shape.seqQ / 16) * 16 : blocks * BLOCK_ROWS;
  const rowPairs = Math.min(shape.seqKv, shape.pairs / shape.seqQ + diagonal);
  const tileFlops = (2 * dims * rowPairs * paddedRows) / blocks;
  const longestFlops = 2 * dims * Math.min(shape.seqKv, 2 * rowPairs) * Math.min(BLOCK_ROWS, paddedRows);
  const tiles = blocks * shape.heads * shape.batch;
  const fillSec = fillUs * 1e-6;
  const computeSec = (tiles / units) * (tileFlops / unitRate + fillSec) + tail * (longestFlops / unitRate + fillSec);
  const bytes = shape.batch * attentionBytes(shape);
  const hit = shape.warm ? Math.min(1, (l2Share * device.l2Bytes) / bytes) ** 2 : 0;
  const memorySec = trafficSec(device, bytes, hit, stream, l2Rate);
  return floorUs * 1e-6 + powerNorm(computeSec, memorySec, overlap);
}

/** Query, key, value and output bytes of one sequence. */
function attentionBytes(shape: AttentionShape): number {
  const element = shape.dtype === "fp8" ? 1 : 2;
  const query = shape.seqQ * shape.heads * (shape.headDim * element + shape.vHeadDim * 2);
  return query + shape.seqKv * shape.kvHeads * (shape.headDim + shape.vHeadDim) * element;
}

function powerNorm(a: number, b: number, power: number): number {
  const high = Math.max(a, b);
  const low = Math.min(a, b);
  return high * (1 + (low / high) ** power) ** (1 / power);
}

export interface DecodeShape {
  readonly batch: number;
  /** Cached tokens that are read: the window where there is one. */
  readonly length: number;
  readonly heads: number;
  /** Rows of the cache per token: kv heads, or one latent row. */
  readonly kvHeads: number;
  /** Bytes of keys and values of one token and kv head. */
  readonly tokenBytes: number;
  /** Flops per cached token and query head. */
  readonly tokenFlops: number;
  readonly warm: boolean;
}

export const DECODE_PARAMS = [
  { name: "stream", start: 0.8, note: "share of the data-sheet bandwidth" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
  { name: "l2Share", start: 0.7, note: "share of L2 that keeps the cache between calls" },
  { name: "compute", start: 0.3, note: "share of the bf16 peak" },
  { name: "floorUs", start: 8, note: "launch, split reduction and drain, microseconds" },
  { name: "chunk", start: 256, note: "cached tokens below which a sequence is not split further" },
  { name: "fillUs", start: 0.6, note: "cost of one block of work on a unit, microseconds" },
  { name: "padHeads", start: 16, note: "query rows a matrix instruction needs at least" },
  { name: "overlap", start: 2.5, note: "power norm joining compute and memory time" },
  { name: "unitsNeeded", start: 0.6, note: "share of the units that must be busy for full bandwidth" },
] as const;

/** Seconds of one decode step. */
export function decodeSeconds(device: DeviceSpec, shape: DecodeShape, params: readonly number[]): number {
  const [stream, l2Rate, l2Share, compute, floorUs, chunk, fillUs, padHeads, overlap, unitsNeeded] =
    params as readonly number[] as [number, number, number, number, number, number, number, number, number, number];
  const blocks = shape.batch * shape.kvHeads * Math.max(1, shape.length / chunk);
  const occupancy = Math.min(1, blocks / (unitsNeeded * device.units));
  const bytes = shape.batch * shape.length * shape.kvHeads * shape.tokenBytes;
  const hit = shape.warm ? Math.min(1, (l2Share * device.l2Bytes) / bytes) ** 2 : 0;
  const memorySec = trafficSec(device, bytes, hit, stream, l2Rate) / occupancy;
  const queryRows = Math.ceil(shape.heads / shape.kvHeads / padHeads) * padHeads;
  const flops = shape.batch * shape.length * shape.kvHeads * queryRows * shape.tokenFlops;
  const computeSec = flops / (peakFlopsPerSec(device, "bf16") * compute * occupancy);
  const issueSec = Math.max(1, (shape.batch * shape.kvHeads) / device.units) * fillUs * 1e-6;
  return floorUs * 1e-6 + issueSec + powerNorm(computeSec, memorySec, overlap);
}
