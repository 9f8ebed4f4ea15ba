// Ops on the rows of one layer: linear maps, norms, activations and elementwise sums and products.

import type { DType } from "../../units/dtype.ts";
import type { BufferId } from "../buffers.ts";
import type { OpBase } from "./base.ts";

/** out (+)= op(a) op(b). a: [M,K] or transposed, b: [K,N] or transposed. Optional bias [N] added to every row. */
export interface MatmulOp extends OpBase {
  readonly kind: "matmul";
  readonly role: "forward" | "inputGrad" | "weightGrad";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
  readonly transA: boolean;
  readonly transB: boolean;
  readonly accumulate: boolean;
  readonly bias?: BufferId;
  /** The bias is added times this (1/tp before a sum over tp); 1 when absent. */
  readonly biasScale?: number;
  /** Number format of the multiplication (fp8, nvfp4... ; storage formats are the buffers'). */
  readonly compute: DType;
  /** Runs as so many products of equal parts of the rows, each beside a part of a collective (user buffers); 1 when absent. */
  readonly rowChunks?: number;
}

/** Column sums: dbias (+)= sum over rows of x. */
export interface BiasGradOp extends OpBase {
  readonly kind: "biasGrad";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly accumulate: boolean;
}

/** y = norm(x) * weight (+ bias); eps 1e-5. `width`: normalise groups of this many columns (per-head norm); 0 = the whole row. */
export interface NormOp extends OpBase {
  readonly kind: "norm";
  readonly norm: "rmsnorm" | "layernorm";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly bias?: BufferId;
  readonly y: BufferId;
  /** norm(x) before the weight, kept where a framework's graph keeps it. */
  readonly normed?: BufferId;
  readonly width: number;
}

/** dx = d norm / dx; dweight, dbias (+)= (statistics are recomputed from x; norm(x) is `normed` where that was kept). */
export interface NormBackwardOp extends OpBase {
  readonly kind: "normBackward";
  readonly norm: "rmsnorm" | "layernorm";
  readonly x: BufferId;
  readonly weight: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly dweight: BufferId;
  readonly dbias?: BufferId;
  readonly normed?: BufferId;
  readonly width: number;
  /** False: dweight and dbias are written, not added to. */
  readonly accumulate: boolean;
}

/** y = act(x), or with `gated` y = act(x[:, :F]) * x[:, F:]; times rowScale [rows, 1] where given (gates of routed tokens). */
export interface ActivationOp extends OpBase {
  readonly kind: "activation";
  readonly fn: "gelu" | "silu" | "relu" | "relu2" | "quick_gelu" | "tanh";
  readonly gated: boolean;
  readonly x: BufferId;
  readonly y: BufferId;
  readonly rowScale?: BufferId;
}

/** dx from dy; with rowScale also drowScale[r] = sum over columns of dy times the unscaled activation. */
export interface ActivationBackwardOp extends OpBase {
  readonly kind: "activationBackward";
  readonly fn: ActivationOp["fn"];
  readonly gated: boolean;
  readonly x: BufferId;
  readonly dy: BufferId;
  readonly dx: BufferId;
  readonly rowScale?: BufferId;
  readonly drowScale?: BufferId;
}

/** out = a + b, elementwise; out may be a or b. */
export interface AddOp extends OpBase {
  readonly kind: "add";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
}

/** out = a * b, elementwise. */
export interface MulOp extends OpBase {
  readonly kind: "mul";
  readonly a: BufferId;
  readonly b: BufferId;
  readonly out: BufferId;
}

/** out = sigmoid(gate) * x; gate has the shape of x, or one column. */
export interface SigmoidGateOp extends OpBase {
  readonly kind: "sigmoidGate";
  readonly gate: BufferId;
  readonly x: BufferId;
  readonly out: BufferId;
}

export interface SigmoidGateBackwardOp extends OpBase {
  readonly kind: "sigmoidGateBackward";
  readonly gate: BufferId;
  readonly x: BufferId;
  readonly dy: BufferId;
  readonly dgate: BufferId;
  readonly dx: BufferId;
}

export type DenseOp =
  | MatmulOp
  | BiasGradOp
  | NormOp
  | NormBackwardOp
  | ActivationOp
  | ActivationBackwardOp
  | AddOp
  | MulOp
  | SigmoidGateOp
  | SigmoidGateBackwardOp;
