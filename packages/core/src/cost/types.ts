// Questions the cost model answers, and the shape of its answers. A question names no model, strategy or framework: it is
// one kernel on one device, or one collective on one placement.

import type { DType } from "../units/dtype.ts";

/** Where a duration came from, from most to least direct. `measured`: on the user's own machine (measurements/). */
export type CostSource = "measured" | "table" | "interpolated" | "fit" | "sibling" | "analytic";

export interface Cost {
  readonly durationSec: number;
  readonly source: CostSource;
  /** One standard deviation, relative: how far this duration trusts itself. */
  readonly relStd: number;
}

/** GEMM number formats: `fp8` per tensor, `fp8_block` 1x128/128x128, `mxfp8` 1x32. Weight-only formats name the weight. */
export const gemmDTypes = [
  "bf16",
  "fp16",
  "tf32",
  "fp32",
  "fp8",
  "fp8_block",
  "mxfp8",
  "nvfp4",
  "mxfp4",
  "int8_wo",
  "int4_wo",
  "int8_sq",
  "int8",
  "fp4",
] as const;
export type GemmDType = (typeof gemmDTypes)[number];

export interface GemmQuery {
  readonly kind: "gemm";
  /** C[m,n] = A[m,k] B[k,n], `batch` times. */
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly dtype: GemmDType;
  /** TN forward, NN data gradient, NT weight gradient (cuBLAS letters of A and B in row-major terms of data/README). */
  readonly layout: "TN" | "NN" | "NT";
  /** C += instead of C =, in `outDtype`. */
  readonly accumulate: boolean;
  readonly outDtype: DType;
  /** Quantising the activation is part of the call (the tables of inference engines); training prices it as its own op. */
  readonly includesQuantisation: boolean;
  /** Weights may stay in L2 between calls (a table measured hot). Training and whole models: false. */
  readonly warmCache: boolean;
}

export interface GroupedGemmQuery {
  readonly kind: "groupedGemm";
  readonly groups: number;
  /** Rows over all groups, and rows of the fullest group. */
  readonly totalRows: number;
  readonly maxRows: number;
  readonly n: number;
  readonly k: number;
  readonly dtype: GemmDType;
  readonly layout: "TN" | "NN" | "NT";
  readonly accumulate: boolean;
  readonly outDtype: DType;
}

export type AttentionImpl = "flash1" | "flash2" | "flash3" | "flash4" | "cudnn" | "auto";

export interface AttentionQuery {
  readonly kind: "attention";
  readonly phase: "forward" | "backward";
  readonly batch: number;
  readonly seqQ: number;
  readonly seqKv: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  /** Query-key pairs that are computed, per sequence and head: s^2/2 for causal, less with a window. */
  readonly pairs: number;
  /** Window in tokens, 0 = none (pairs already reflect it). */
  readonly window: number;
  readonly dtype: "bf16" | "fp16" | "fp8";
  readonly impl: AttentionImpl;
}

/** One new token per sequence against a cache. */
export interface DecodeAttentionQuery {
  readonly kind: "decodeAttention";
  readonly batch: number;
  readonly kvLen: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
  readonly dtype: "bf16" | "fp16" | "fp8kv";
}

/** DeepSeek-geometry multi-head latent attention (latent 512 + rope 64). */
export interface MlaAttentionQuery {
  readonly kind: "mlaAttention";
  readonly phase: "prefill" | "decode";
  readonly batch: number;
  /** Prefill: tokens per sequence. Decode: cache length. */
  readonly seq: number;
  readonly heads: number;
  readonly dtype: "bf16";
}

/** A whole fused MoE layer of an inference engine: routing, permutation, grouped GEMMs, combine. */
export interface FusedMoeQuery {
  readonly kind: "fusedMoe";
  readonly tokens: number;
  readonly hidden: number;
  readonly inter: number;
  readonly topk: number;
  readonly experts: number;
  readonly moeTp: number;
  readonly moeEp: number;
  /** `balanced` or `power_law_<exponent>`. */
  readonly routing: string;
  readonly dtype: GemmDType | "w4a16_mxfp4";
}

/** Anything bound by memory traffic: norms, activations, residual adds, casts, optimizer updates, permutations. */
export interface MemoryQuery {
  readonly kind: "memory";
  /** HBM bytes read plus written, all kernels together. */
  readonly sizeBytes: number;
  readonly numKernels: number;
  /** How memory is met. `activation`: a stream with tens of operations an element, which only devices with little arithmetic (CPU cores) notice. */
  readonly access: "stream" | "gather" | "reduce" | "transpose" | "activation";
  /** Which kernel it is (`norm rmsnorm`, `optimizer adamw`): measurements of one kernel say more than those of its access. */
  readonly kernel?: string;
}

/** Linear-time sequence mixing: state-space or gated-delta chunk scan, short convolution. */
export interface ScanQuery {
  readonly kind: "scan";
  readonly phase: "forward" | "backward";
  readonly workFlops: number;
  readonly sizeBytes: number;
  readonly numKernels: number;
}

export type KernelQuery =
  | GemmQuery
  | GroupedGemmQuery
  | AttentionQuery
  | DecodeAttentionQuery
  | MlaAttentionQuery
  | FusedMoeQuery
  | MemoryQuery
  | ScanQuery;

export type CollectiveOp = "allReduce" | "allGather" | "reduceScatter" | "allToAll" | "broadcast" | "sendRecv";

export interface CollectiveQuery {
  readonly kind: "collective";
  readonly op: CollectiveOp;
  /** allReduce: one rank's buffer. allGather: the gathered output. reduceScatter: the whole input. allToAll: one rank's whole send buffer. sendRecv, broadcast: the message. */
  readonly sizeBytes: number;
  /** Ranks of the group that share one instance of network level i, cumulative, innermost first; the last is the group size. */
  readonly spans: readonly number[];
  /** Groups of this kind that cross a level at the same time and share its links beyond one per device (1 = every device drives one group). */
  readonly algorithm: "auto" | "ring" | "tree" | "hierarchical" | "inNetwork" | "direct";
  readonly backend: "nccl" | "custom" | "userBuffers";
}

/** Expert-parallel token exchange by a dedicated library (DeepEP, HybridEP, TensorRT-LLM all-to-all). */
export interface MoeExchangeQuery {
  readonly kind: "moeExchange";
  readonly phase: "dispatch" | "combine";
  readonly library: "deepep" | "hybridep" | "trtllm" | "nccl";
  readonly mode: "normal" | "low_latency";
  readonly tokens: number;
  readonly hidden: number;
  readonly topk: number;
  readonly experts: number;
  readonly bytesPerElement: number;
  readonly spans: readonly number[];
  /** SMs given to the exchange kernel in normal mode; default 24. */
  readonly numSms?: number;
}
