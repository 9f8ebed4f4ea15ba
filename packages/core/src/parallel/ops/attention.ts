// Attention, fused or as batched products around a softmax, with its rotations, its layout of heads and its dropout (which other ops share).

import type { DType } from "../../units/dtype.ts";
import type { BufferId, TokenLayout } from "../buffers.ts";
import type { Axis } from "../mesh.ts";
import type { OpBase } from "./base.ts";

/** Which key positions a ring step holds: those of the ring neighbour `step` places behind (0 = own). */
export interface AttentionGeometry {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly causal: boolean;
  /** Tokens of look-back, 0 = all. */
  readonly window: number;
  readonly layout: TokenLayout;
  /** Ring step: k and v come from ring coordinate (own - step) mod cpRing. */
  readonly step: number;
  /** Cross-attention keys lie in this layout; absent: same as layout. */
  readonly kvLayout?: TokenLayout;
}

/** Rotate ropeDim columns of each head, from column `from` (pairs i, i + ropeDim/2; theta 10000), by token position; inverse turns back (backward). */
export interface RopeOp extends OpBase {
  readonly kind: "rope";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly headDim: number;
  readonly from: number;
  readonly ropeDim: number;
  readonly inverse: boolean;
  readonly layout: TokenLayout;
}

/** Per head: out[:, h] = [a[:, h], b[:, h]]; with sharedB b has one head that all heads take. */
export interface HeadConcatOp extends OpBase {
  readonly kind: "headConcat";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly heads: number;
  readonly aDim: number;
  readonly bDim: number;
  readonly sharedB: boolean;
}

/** Backward of headConcat: a[:, h], b[:, h] from x; with sharedB b is the sum over heads. */
export interface HeadSplitOp extends OpBase {
  readonly kind: "headSplit";
  readonly x: BufferId;
  readonly a: BufferId;
  readonly b: BufferId;
  readonly heads: number;
  readonly aDim: number;
  readonly bDim: number;
  readonly sharedB: boolean;
}

/** Each head of x stands `repeats` times side by side in out; with `sum` the reverse: each head of out is the sum of `repeats` neighbours of x (backward). */
export interface RepeatHeadsOp extends OpBase {
  readonly kind: "repeatHeads";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly headDim: number;
  readonly repeats: number;
  readonly sum: boolean;
}

/**
 * Fused (flash) attention. q [T, heads*d], k [Tkv, kvHeads*d], v [Tkv, kvHeads*dv] -> out [T, heads*dv], lse [T, heads].
 * With `merge` the result is combined into (out, lse) already there (ring attention's online softmax).
 */
export interface AttentionOp extends OpBase {
  readonly kind: "attention";
  readonly q: BufferId;
  readonly k: BufferId;
  readonly v: BufferId;
  readonly out: BufferId;
  readonly lse: BufferId;
  readonly merge: boolean;
  readonly geometry: AttentionGeometry;
}

/** dq, dk, dv from (q, k, v, final out, final lse, dout). `accumulate` adds into dq / dk / dv. */
export interface AttentionBackwardOp extends OpBase {
  readonly kind: "attentionBackward";
  readonly q: BufferId;
  readonly k: BufferId;
  readonly v: BufferId;
  readonly out: BufferId;
  readonly lse: BufferId;
  readonly dout: BufferId;
  readonly dq: BufferId;
  readonly dk: BufferId;
  readonly dv: BufferId;
  readonly accumulateQ: boolean;
  readonly accumulateKv: boolean;
  readonly geometry: AttentionGeometry;
}

/**
 * Unfused attention as batched matmuls over batch x heads. scores: [batch*heads*s, s] (out of q k^T / sqrt(d)), probs likewise.
 * which: scores = q k^T; context = probs v; gradProbs = dout v^T; gradV = probs^T dout; gradQ = dscores k; gradK = dscores^T q.
 */
export interface BatchMatmulOp extends OpBase {
  readonly kind: "batchMatmul";
  readonly which: "scores" | "context" | "gradProbs" | "gradV" | "gradQ" | "gradK";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly geometry: AttentionGeometry;
  readonly compute: DType;
}

/** Causal (windowed) softmax of scores by rows; backward: dscores = p * (dp - sum(dp * p)). */
export interface SoftmaxOp extends OpBase {
  readonly kind: "softmax";
  readonly x: BufferId;
  readonly y: BufferId;
  readonly geometry: AttentionGeometry;
}

export interface SoftmaxBackwardOp extends OpBase {
  readonly kind: "softmaxBackward";
  readonly y: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly geometry: AttentionGeometry;
}

/** y = x * mask / (1 - p); the mask [rows, width] of bytes is a hash of (global token, global column, site), so any split draws the same mask. */
export interface DropoutOp extends OpBase {
  readonly kind: "dropout";
  readonly x: BufferId;
  readonly mask: BufferId;
  readonly y: BufferId;
  readonly layout: TokenLayout;
  /** Axis over which columns are split, if any. */
  readonly columnAxis: Axis | null;
  readonly site: number;
  readonly p: number;
  /** Present for attention probabilities [batch x heads x s, s]: the mask is a hash of (global token, global head, key position). */
  readonly geometry?: AttentionGeometry;
}

export interface DropoutBackwardOp extends OpBase {
  readonly kind: "dropoutBackward";
  readonly dy: BufferId;
  readonly mask: BufferId;
  readonly dx: BufferId;
  readonly p: number;
}

export type AttentionPartOp =
  | RopeOp
  | HeadConcatOp
  | HeadSplitOp
  | RepeatHeadsOp
  | AttentionOp
  | AttentionBackwardOp
  | BatchMatmulOp
  | SoftmaxOp
  | SoftmaxBackwardOp
  | DropoutOp
  | DropoutBackwardOp;
