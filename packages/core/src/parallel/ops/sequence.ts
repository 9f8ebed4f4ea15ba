// State-space layers: linear-time scans and short causal convolutions along the sequence.

import type { BufferId, TokenLayout } from "../buffers.ts";
import type { OpBase } from "./base.ts";

/**
 * Linear-time scan over each sequence, per head. x [T, innerDim + 2 groups*stateDim] holds values v, then B (keys), then C (queries) per group;
 * perHead [T, heads] holds dt (mamba1/2), or [T, 2 heads]: beta, then decay input (gatedDelta). P = innerDim / heads, N = stateDim, state S [P, N]:
 *   mamba1, mamba2  step = softplus(dt); S = exp(-exp(decay) step) S + step v B^T;  y = S C + skip v
 *   gatedDelta      a = exp(-exp(decay) softplus(decayIn)), b = sigmoid(beta); S = a S + b (v - a S B) B^T;  y = S C + skip v
 * Head h uses group floor(h groups / heads).
 */
export interface ScanOp extends OpBase {
  readonly kind: "scan";
  readonly variant: "mamba1" | "mamba2" | "gatedDelta";
  readonly x: BufferId;
  readonly perHead: BufferId;
  /** [heads] each. */
  readonly decay: BufferId;
  readonly skip: BufferId;
  readonly y: BufferId;
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  readonly layout: TokenLayout;
}

export interface ScanBackwardOp extends OpBase {
  readonly kind: "scanBackward";
  readonly variant: ScanOp["variant"];
  readonly x: BufferId;
  readonly perHead: BufferId;
  readonly decay: BufferId;
  readonly skip: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dperHead: BufferId;
  readonly ddecay: BufferId;
  readonly dskip: BufferId;
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  readonly layout: TokenLayout;
  readonly accumulate: boolean;
}

/** Depthwise causal convolution along the sequence: weight [channels, kernel]; silu afterwards. */
export interface ConvOp extends OpBase {
  readonly kind: "conv";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly y: BufferId;
  readonly kernel: number;
  readonly layout: TokenLayout;
}

export interface ConvBackwardOp extends OpBase {
  readonly kind: "convBackward";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dweight: BufferId;
  readonly kernel: number;
  readonly layout: TokenLayout;
  readonly accumulate: boolean;
}

export type SequenceOp = ScanOp | ScanBackwardOp | ConvOp | ConvBackwardOp;
