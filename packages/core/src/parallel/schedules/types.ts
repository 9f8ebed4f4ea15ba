// What a pipeline schedule is: for each pipeline rank an ordered list of actions on (chunk, micro-batch).
// Sends and receives follow from the stage order: F of stage s needs F of stage s-1, B of stage s needs B of stage s+1
// (and F of stage s), W needs its own B. A value crosses the network when the two stages lie on different ranks.

/** F forward, B backward for inputs only, W backward for weights only, BW both at once. */
export type ActionKind = "F" | "B" | "W" | "BW";

export interface Action {
  readonly kind: ActionKind;
  /** Chunk on this rank, 0-based. */
  readonly chunk: number;
  readonly microBatch: number;
}

export interface Schedule {
  readonly name: string;
  readonly numRanks: number;
  /** Chunks per rank. */
  readonly numChunks: number;
  readonly numMicroBatches: number;
  /** Model is cut into this many stages, in order. */
  readonly numStages: number;
  /** stageOf[rank][chunk] = stage index. A stage may live on two ranks (Chimera, BitPipe): each micro-batch uses one of them. */
  readonly stageOf: readonly (readonly number[])[];
  /** Stage replicas: 1, or 2 for bidirectional schedules; replicas all-reduce their weight gradients at the end of the step. */
  readonly replicas: number;
  /** replicaOf[rank][chunk]: which replica (direction) that chunk belongs to; all 0 when replicas is 1. */
  readonly replicaOf: readonly (readonly number[])[];
  /** Micro-batches that replica r processes, ascending. */
  readonly microBatchesOf: readonly (readonly number[])[];
  /** True when B and W are separate actions. */
  readonly splitBackward: boolean;
  /** Per rank, encoded with `encodeAction`. Kept packed: a 1T model has 10^5 actions. */
  readonly actions: readonly Int32Array[];
  /**
   * overlapped[rank][i] = 1: actions i and i+1 of that rank (an F and a B or BW of different micro-batches) run together and end together,
   * as DualPipe's "F&B" does. Absent: nothing overlaps.
   */
  readonly overlapped?: readonly Uint8Array[];
  /**
   * Published bound on the micro-batch stashes one rank holds, in units of one chunk's F activations (see each schedule's doc).
   * A stash lives from the start of its F to the end of its last backward action (BW, or W where backward is split).
   */
  readonly stashBoundChunks: (rank: number) => number;
}

const kindCode: Record<ActionKind, number> = { F: 0, B: 1, W: 2, BW: 3 };
const kinds: readonly ActionKind[] = ["F", "B", "W", "BW"];

/** kind in bits 0-1, chunk in bits 2-9, micro-batch above. */
export function encodeAction(kind: ActionKind, chunk: number, microBatch: number): number {
  return kindCode[kind] | (chunk << 2) | (microBatch << 10);
}
export function decodeAction(code: number): Action {
  return { kind: kinds[code & 3]!, chunk: (code >> 2) & 255, microBatch: code >> 10 };
}

/** What a schedule may depend on. Durations are relative costs of one chunk's actions (any unit). */
export interface ScheduleRequest {
  readonly numRanks: number;
  readonly numMicroBatches: number;
  /** Model chunks per rank where the schedule allows a choice (interleaved 1F1B, breadth-first, Hanayo waves). */
  readonly numChunks: number;
  readonly costs?: { readonly F: number; readonly B: number; readonly W: number; readonly send: number };
  /** Most F stashes (whole-rank activations of one micro-batch) a rank may hold; for memory-limited automatic schedules. */
  readonly stashLimit?: number;
  /** Interleaved 1F1B: micro-batches one chunk runs in a row (Megatron's microbatch_group_size_per_vp_stage); numRanks when absent. */
  readonly groupSize?: number;
}

/** One entry of the schedule registry: adding a schedule is one file that exports one of these. */
export interface ScheduleFamily {
  readonly name: string;
  readonly title: string;
  /** Paper and equation. */
  readonly source: string;
  /** Chunks per rank it needs: a fixed number, or any >= the given minimum. */
  readonly chunks: { readonly fixed: number } | { readonly min: number };
  readonly splitBackward: boolean;
  /** Findings in words when the request is not admissible (p even, m multiple of p...); empty when it is. */
  readonly check: (request: ScheduleRequest) => readonly string[];
  readonly build: (request: ScheduleRequest) => Schedule;
  /**
   * Closed form of idle time / busy time for equal stages, free sends, F = B = W = costs given; absent where the paper states none,
   * undefined for requests outside the domain of the form. Idle counts from the start to the end of the step (the makespan).
   */
  readonly bubbleFrac?: (request: ScheduleRequest) => number | undefined;
  /**
   * The same with idle counted per rank from its first to its last action: the bubble of a steady run of steps whose optimizer does not
   * wait for all ranks (post-validation, arXiv 2401.10241 section 4). Present where the paper's claim is of this kind.
   */
  readonly spanBubbleFrac?: (request: ScheduleRequest) => number | undefined;
}
