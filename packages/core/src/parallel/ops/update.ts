// The end of a step: the norm of all gradients and the optimizer.

import type { BufferId } from "../buffers.ts";
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

/** Update of master (or parameter) from grad with state buffers; writes the working copy `param` too when it differs from master. */
export interface OptimizerOp extends OpBase {
  readonly kind: "optimizer";
  readonly algorithm: "adamw" | "sgd" | "adafactor" | "muon";
  readonly grads: readonly BufferId[];
  readonly masters: readonly BufferId[];
  readonly states: readonly (readonly BufferId[])[];
  readonly params: readonly BufferId[];
}

export type UpdateOp = GradNormOp | OptimizerOp;
