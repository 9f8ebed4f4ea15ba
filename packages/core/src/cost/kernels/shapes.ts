// From queries to the shapes that the physical models price; shared by the model and its calibration.

import type { DeviceSpec } from "../../cluster/types.ts";
import { dtypeBytes } from "../../units/dtype.ts";
import type { AttentionQuery, DecodeAttentionQuery, GemmDType, GemmQuery, MlaAttentionQuery } from "../types.ts";
import type { AttentionShape, DecodeShape } from "./attentionModel.ts";
import type { GemmShape } from "./gemmModel.ts";
import { operandBytes } from "./roofline.ts";

/** Weight copies the GEMM tables rotate over (method in the provenance of the data). */
export const TABLE_WEIGHT_COPIES = 6;

/** Formats whose activation is quantised on the fly, in a kernel before the product. AMD's tables time the product alone. */
export function quantisesActivation(device: DeviceSpec, dtype: GemmDType): boolean {
  return (
    device.vendor !== "AMD" &&
    (dtype === "fp8" ||
      dtype === "fp8_block" ||
      dtype === "mxfp8" ||
      dtype === "nvfp4" ||
      dtype === "mxfp4" ||
      dtype === "fp4")
  );
}

export function gemmShape(device: DeviceSpec, query: GemmQuery): GemmShape {
  const { m, n, k, batch, dtype } = query;
  const quantised = query.includesQuantisation && quantisesActivation(device, dtype);
  return {
    m,
    n,
    k,
    batch,
    dtype,
    outBytes: dtypeBytes(query.outDtype),
    accumulate: query.accumulate,
    warmCopies: query.warmCache ? TABLE_WEIGHT_COPIES : 0,
    quantisationBytes: quantised ? batch * m * k * (2 + operandBytes(dtype).activation) : 0,
  };
}

export function attentionShape(query: AttentionQuery, warm: boolean): AttentionShape {
  return { ...query, warm };
}

export function decodeShape(query: DecodeAttentionQuery, warm: boolean): DecodeShape {
  return {
    batch: query.batch,
    length: query.window > 0 ? Math.min(query.window, query.kvLen) : query.kvLen,
    heads: query.heads,
    kvHeads: query.kvHeads,
    tokenBytes: 2 * query.headDim * (query.dtype === "fp8kv" ? 1 : 2),
    tokenFlops: 4 * query.headDim,
    warm,
  };
}

/** DeepSeek geometry, prefill: 128 + 64 wide queries and keys, 128 wide values. */
export function mlaPrefillShape(query: MlaAttentionQuery, warm: boolean): AttentionShape {
  return {
    batch: query.batch,
    seqQ: query.seq,
    seqKv: query.seq,
    heads: query.heads,
    kvHeads: query.heads,
    headDim: 192,
    vHeadDim: 128,
    pairs: (query.seq * (query.seq + 1)) / 2,
    dtype: "bf16",
    warm,
  };
}

/** DeepSeek geometry, decode with absorbed projections: one latent row of 512 + 64 per token serves all heads. */
export function mlaDecodeShape(query: MlaAttentionQuery, warm: boolean): DecodeShape {
  return {
    batch: query.batch,
    length: query.seq,
    heads: query.heads,
    kvHeads: 1,
    tokenBytes: 2 * 576,
    tokenFlops: 2 * (576 + 512),
    warm,
  };
}

/** Query-key pairs of causal self-attention over `seq` tokens, with an optional window. */
export function causalPairs(seq: number, window: number): number {
  if (window <= 0 || window >= seq) return (seq * (seq + 1)) / 2;
  return (window * (window + 1)) / 2 + (seq - window) * window;
}
