// The op vocabulary of programs, each with its exact meaning on the buffers of one rank. Backward is explicit and split: ops that only make weight
// gradients say so. Everything here is priced by cost/opKernels.ts and executed by packages/run/src/reference; a new op needs both.
//
//   T rows of a rank, D model width, H heads, G kv heads, d head width, F ffn width, V vocabulary, E experts, k experts per token

import type { AttentionPartOp } from "./attention.ts";
import type { DenseOp } from "./dense.ts";
import type { EndOp } from "./ends.ts";
import type { ExpertOp } from "./experts.ts";
import type { MovementOp } from "./movement.ts";
import type { SequenceOp } from "./sequence.ts";
import type { UpdateOp } from "./update.ts";

export type * from "./attention.ts";
export type { Stream } from "./base.ts";
export type * from "./dense.ts";
export type * from "./ends.ts";
export type * from "./experts.ts";
export type * from "./movement.ts";
export type * from "./sequence.ts";
export type * from "./update.ts";

export type Op = DenseOp | AttentionPartOp | EndOp | ExpertOp | SequenceOp | MovementOp | UpdateOp;
