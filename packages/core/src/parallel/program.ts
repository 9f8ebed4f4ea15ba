// The program: what every rank runs, as data. It is priced and simulated (simulate/), executed (packages/run) and explained
// (report/); all three read the same ops. Lowering (parallel/lower) writes it; transforms rewrite it.
//
// Shapes are per rank. Activations are matrices [rows, width]; rows are tokens in the order of a TokenLayout.
//
// A stage is a list of block uses; a block holds the ops of one layer (or several, or the embedding, or the head) by phase:
//   gather    full parameters from shards (ZeRO-3/FSDP before use; ZeRO-1 after the update)
//   forward   F action
//   recompute run at the start of B: recreates activations that forward did not keep
//   backward  B and W actions: ops in natural order; those with `weightGrad` belong to W when the schedule splits them
//   reduce    gradient synchronisation over data-parallel ranks
//   update    optimizer step
// A buffer that forward writes and backward reads is the stash. Its life follows from reads and writes alone (liveness.ts).

import type { BufferDecl, BufferId, TokenLayout } from "./buffers.ts";
import type { Mesh } from "./mesh.ts";
import type { Op } from "./ops/index.ts";
import type { Schedule } from "./schedules/types.ts";

export type * from "./buffers.ts";
export type * from "./ops/index.ts";

export interface Block {
  readonly name: string;
  readonly buffers: readonly BufferDecl[];
  /** Hidden states in and out (encoder states travel beside the decoder's in encoder-decoder models), and their gradients. */
  readonly inputs: readonly BufferId[];
  readonly outputs: readonly BufferId[];
  /** Gradient of each output (read by backward) and of each input (written by backward). */
  readonly gradOutputs: readonly BufferId[];
  readonly gradInputs: readonly BufferId[];
  readonly gather: readonly Op[];
  readonly forward: readonly Op[];
  readonly recompute: readonly Op[];
  readonly backward: readonly Op[];
  readonly reduce: readonly Op[];
  readonly update: readonly Op[];
}

/** One place a block is used: `label` replaces `*` in parameter names (`layers.7`). */
export interface BlockUse {
  readonly block: number;
  readonly label: string;
}

/** Full name of a parameter in a block use: `*` is the label, `*+2` the label two layers further (`layers.7` -> `layers.9`). */
export function paramName(template: string, label: string): string {
  return template.replace(/\*(?:\+(\d+))?/, (_, ahead: string | undefined) =>
    ahead === undefined ? label : label.replace(/\d+$/, (index) => String(Number(index) + Number(ahead))),
  );
}

export interface Stage {
  readonly uses: readonly BlockUse[];
}

/**
 * never: parameters are whole. afterUpdate: gathered once a step from updated shards into persistent buffers (ZeRO-1, ZeRO-2).
 * perForward: gathered before forward, kept until that micro-batch's backward is done (reshard_after_forward=false).
 * perPhase: gathered before forward and again before backward, freed after each (ZeRO-3).
 */
export type GatherPolicy = "never" | "afterUpdate" | "perForward" | "perPhase";

/**
 * lastMicroBatch: gradients accumulate locally, synchronised with the last micro-batch's backward. everyMicroBatch: ZeRO-2/3 with sharded accumulation.
 * everyRun: the same, with the whole gradients of a run of micro-batches added up before (gradientRuns.ts).
 */
export type ReducePolicy = "lastMicroBatch" | "everyMicroBatch" | "everyRun";

export interface Program {
  readonly mesh: Mesh;
  readonly blocks: readonly Block[];
  /** By stage index, model order. */
  readonly stages: readonly Stage[];
  readonly schedule: Schedule;
  readonly gatherPolicy: GatherPolicy;
  readonly reducePolicy: ReducePolicy;
  /** reduce ops of a block may run beside later backward blocks (they are on their own stream); otherwise all after the last backward. */
  readonly overlapReduce: boolean;
  /** gather ops may run beside the block before (prefetch) ; otherwise they block. For afterUpdate: overlapped with the next step's first forward. */
  readonly overlapGather: boolean;
  /** Blocks gathered ahead of use. */
  readonly prefetchBlocks: number;
  /** Bytes sent over each stage boundary per micro-batch (hidden states; same for gradients): buffers of `outputs`. */
  readonly layout: TokenLayout;
  /** Ranks of a tp group hold the same boundary tensors: each sends 1 / tp of them, and the receivers all-gather the parts over tp. */
  readonly scatteredSends: boolean;
  readonly microBatchesPerStep: number;
  /**
   * Micro-batches of each data parallel replica, where they differ; the schedule above is that of the largest share, and replicas with smaller ones end
   * sooner. Absent: `microBatchesPerStep` each.
   */
  readonly replicaShares?: readonly number[];
  /** Sequences x tokens of a step, all ranks. */
  readonly globalTokens: number;
  /** Tail of the step on every rank: gradient norm all-reduce and so on; ops over `tail.buffers`. */
  readonly tail: Block | null;
  /**
   * Token table on several pipeline ranks: a block of shared buffers that these ranks (mesh.tableRanks) run after their reduce phases; it
   * all-reduces the (reduced) table gradient over `embed`.
   */
  readonly embeddingSync: Block | null;
}
