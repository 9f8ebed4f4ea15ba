// The physics of fused attention: query blocks of every head are tiles on compute units; each walks its keys once.
//
// Work is 2 (d + dv) flops per computed query-key pair forward (QK^T and PV) and 5/2 of that backward (five products instead of two,
// FlashAttention-2, arXiv 2307.08691, section 4.1). Masked pairs inside the blocks on the diagonal are computed too.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { AttentionImpl } from "../types.ts";
import { type ArchFamily, archFamily, kernelFloorSec, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";

export interface AttentionShape {
  readonly phase: "forward" | "backward";
  readonly batch: number;
  readonly seqQ: number;
  readonly seqKv: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly pairs: number;
  readonly dtype: "bf16" | "fp16" | "fp8";
  readonly impl: AttentionImpl;
}

const BLOCK_Q = 128;
const BLOCK_KV = 128;

/** The implementation a current framework picks on each family. */
function resolveImpl(family: ArchFamily, impl: AttentionImpl): Exclude<AttentionImpl, "auto"> {
  if (impl !== "auto") return impl;
  if (family === "hopper") return "flash3";
  if (family === "blackwell") return "cudnn";
  return "flash2";
}

/**
 * Share of the tensor-core peak on long sequences at head_dim 128, forward and backward.
 * Sources: FlashAttention-1 section 4.3 and FlashAttention-2 figures 4-6 (A100: 25-40 % and 50-73 %; H100 about 335 of 989 TFLOP/s),
 * FlashAttention-3, arXiv 2407.08608, section 4.1 (H100 up to 75 % forward, 1.5-1.75x of FlashAttention-2 backward).
 */
function implEfficiency(family: ArchFamily, impl: Exclude<AttentionImpl, "auto">): { readonly forward: number; readonly backward: number } {
  switch (family) {
    case "hopper":
      if (impl === "flash1") return { forward: 0.22, backward: 0.2 };
      if (impl === "flash2") return { forward: 0.39, backward: 0.36 };
      return { forward: 0.7, backward: 0.56 };
    case "blackwell":
      if (impl === "flash1") return { forward: 0.1, backward: 0.09 };
      if (impl === "flash2") return { forward: 0.17, backward: 0.16 };
      if (impl === "flash3") return { forward: 0.5, backward: 0.4 };
      return { forward: 0.66, backward: 0.5 };
    case "cdna":
      return { forward: 0.4, backward: 0.28 };
    case "tpu":
      return { forward: 0.5, backward: 0.45 };
    default:
      if (impl === "flash1") return { forward: 0.4, backward: 0.35 };
      return { forward: 0.7, backward: 0.58 };
  }
}

/** Seconds of one fused attention call. */
export function attentionSeconds(device: DeviceSpec, shape: AttentionShape): number {
  const family = archFamily(device);
  const impl = resolveImpl(family, shape.impl);
  const share = implEfficiency(family, impl)[shape.phase];
  const dim = (shape.headDim + shape.vHeadDim) / 2;
  // Softmax work per pair does not shrink with the head: narrow heads leave the matrix units waiting.
  const efficiency = share * Math.min(1.05, (1.25 * dim) / (dim + 32));
  const blocksPerSeq = Math.ceil(shape.seqQ / BLOCK_Q);
  const full = shape.seqQ * shape.seqKv;
  const computedPairs = Math.min(blocksPerSeq * BLOCK_Q * (Math.ceil(shape.seqKv / BLOCK_KV) * BLOCK_KV), shape.pairs >= full ? full : shape.pairs + shape.seqQ * (BLOCK_KV / 2));
  const phaseFactor = shape.phase === "forward" ? 1 : 2.5;
  const flopsPerTile = (phaseFactor * 2 * (shape.headDim + shape.vHeadDim) * computedPairs) / blocksPerSeq;
  const tiles = blocksPerSeq * shape.heads * shape.batch;
  const unitRate = (peakFlopsPerSec(device, shape.dtype) * efficiency) / device.units;
  // Long and short tiles of a causal mask level the last wave; the tail costs about half a tile.
  const computeSec = (Math.max(1, tiles / device.units + 0.5 * Math.min(1, tiles / device.units)) * flopsPerTile) / unitRate;
  const elementBytes = shape.dtype === "fp8" ? 1 : 2;
  const qBytes = shape.seqQ * shape.heads * (shape.headDim * elementBytes + shape.vHeadDim * 2);
  const kvBytes = shape.seqKv * shape.kvHeads * (shape.headDim + shape.vHeadDim) * elementBytes;
  const traffic = shape.batch * (qBytes + kvBytes) * (shape.phase === "forward" ? 1 : 3);
  const memorySec = traffic / (device.memoryBytesPerSec * streamEfficiency(device));
  const numKernels = shape.phase === "forward" ? 1.5 : 3;
  return numKernels * kernelFloorSec(device) + (computeSec ** 3 + memorySec ** 3) ** (1 / 3);
}

export interface DecodeShape {
  readonly batch: number;
  readonly kvLen: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
  readonly kvBytes: number;
}

/** Seconds of one decode step: the cache is read once, by as many units as there are (sequence, kv head) pairs times splits. */
export function decodeSeconds(device: DeviceSpec, shape: DecodeShape): number {
  const length = shape.window > 0 ? Math.min(shape.window, shape.kvLen) : shape.kvLen;
  const cacheBytes = 2 * shape.batch * length * shape.kvHeads * shape.headDim * shape.kvBytes;
  const queryBytes = 4 * shape.batch * shape.heads * shape.headDim;
  const memorySec = (cacheBytes + queryBytes) / (device.memoryBytesPerSec * streamEfficiency(device));
  const group = Math.max(16, Math.ceil(shape.heads / shape.kvHeads));
  const flops = 4 * shape.batch * length * shape.kvHeads * group * shape.headDim;
  const computeSec = flops / (peakFlopsPerSec(device, "bf16") * 0.3);
  return 2.5 * kernelFloorSec(device) + (computeSec ** 3 + memorySec ** 3) ** (1 / 3);
}

/** Seconds of DeepSeek-geometry latent attention (query-key width 576 absorbed in decode; 192 and 128 in prefill). */
export function mlaSeconds(device: DeviceSpec, shape: { readonly phase: "prefill" | "decode"; readonly batch: number; readonly seq: number; readonly heads: number }): number {
  if (shape.phase === "prefill") {
    return attentionSeconds(device, {
      phase: "forward",
      batch: shape.batch,
      seqQ: shape.seq,
      seqKv: shape.seq,
      heads: shape.heads,
      kvHeads: shape.heads,
      headDim: 192,
      vHeadDim: 128,
      pairs: (shape.seq * shape.seq) / 2,
      dtype: "bf16",
      impl: "auto",
    });
  }
  const cacheBytes = shape.batch * shape.seq * 576 * 2;
  const memorySec = cacheBytes / (device.memoryBytesPerSec * streamEfficiency(device));
  const padded = Math.ceil(shape.heads / 64) * 64;
  const flops = 2 * shape.batch * padded * shape.seq * (576 + 512);
  const computeSec = flops / (peakFlopsPerSec(device, "bf16") * 0.55);
  return 4 * kernelFloorSec(device) + (computeSec ** 3 + memorySec ** 3) ** (1 / 3);
}
