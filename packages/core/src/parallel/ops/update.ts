// The end of a step: the norm of all gradients and the optimizer.

import type { BufferId, ParamSlice } from "../buffers.ts";
import type { MuonDeal } from "../muonMatrices.ts";
import type { OpBase } from "./base.ts";

/** Sum of squares of gradients into out [1] (replicated parameters weighted 1 / replicas). */
export interface GradNormOp extends OpBase {
  readonly kind: "gradNorm";
  readonly grads: readonly BufferId[];
  readonly weights: readonly number[];
  /** Where a parameter's last rows lie on several tp ranks (kv heads fewer than tp): elements of the rank's slice from `from` on count `weight`. */
  readonly tails?: readonly ({ readonly from: number; readonly weight: number } | null)[];
  readonly out: BufferId;
}

/**
 * Update of master (or parameter) from grad with state buffers; writes the working copy `param` too when it differs from master.
 * muon: a step along `grads`, which newtonSchulz ops wrote; it keeps no state here (MomentumOp has it).
 */
export interface OptimizerOp extends OpBase {
  readonly kind: "optimizer";
  readonly algorithm: "adamw" | "sgd" | "adafactor" | "muon";
  readonly grads: readonly BufferId[];
  readonly masters: readonly BufferId[];
  readonly states: readonly (readonly BufferId[])[];
  readonly params: readonly BufferId[];
  /** adafactor: where the sums of squares of each matrix lie (SquareSumsOp), added up over ranks; null for vectors. */
  readonly sums?: readonly ({ readonly rows: BufferId; readonly columns: BufferId } | null)[];
}

/**
 * Sums of the squares of a matrix's scaled gradient, by row and by column of the rank's slice, of what `grad` holds of it (the slice, or a shard). Rows from
 * `tail.fromRow` on lie on several ranks of the axis too, and count with `tail.weight` by column.
 */
export interface SquareSumsOp extends OpBase {
  readonly kind: "squareSums";
  readonly grad: BufferId;
  readonly rows: BufferId;
  readonly columns: BufferId;
  readonly tail?: { readonly fromRow: number; readonly weight: number };
}

/** Nesterov momentum: state = decay x state + grad, out = decay x state + grad (K. Jordan, "Muon", 2024). */
export interface MomentumOp extends OpBase {
  readonly kind: "momentum";
  readonly grad: BufferId;
  readonly state: BufferId;
  readonly out: BufferId;
}

/**
 * Each matrix of the parameters (one for each segment and expert) becomes a nearly orthogonal one of the same singular vectors, by `steps` Newton-Schulz steps,
 * times 0.2 sqrt(max(rows, columns)) (arXiv 2502.16982, section 2.2). x holds the parts of all ranks of the parameters' axis, one rank's after another; out is
 * the rank's own part of the result. A part is the rank's slice, or of dealt matrices the slices of those that the rank owns, one after another. The matrices
 * are taken one by one; `scratch` holds what one of them needs.
 */
export interface NewtonSchulzOp extends OpBase {
  readonly kind: "newtonSchulz";
  readonly x: BufferId;
  readonly out: BufferId;
  readonly scratch: BufferId;
  readonly steps: number;
  readonly slices: readonly ParamSlice[];
  readonly deal: MuonDeal | null;
}

/**
 * toOwners: matrices of sharded parameters come whole to the ranks that own them: xs are flat shards, one for each slice; outs is one buffer as large as
 * what the fullest rank owns. toShards: the reverse; padding becomes zero.
 */
export interface DealOp extends OpBase {
  readonly kind: "deal";
  readonly direction: "toOwners" | "toShards";
  readonly slices: readonly ParamSlice[];
  readonly deal: MuonDeal;
  readonly xs: readonly BufferId[];
  readonly outs: readonly BufferId[];
}

export type UpdateOp = GradNormOp | OptimizerOp | SquareSumsOp | MomentumOp | NewtonSchulzOp | DealOp;
