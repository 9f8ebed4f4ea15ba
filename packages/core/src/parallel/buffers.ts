// Buffers of a program: what they are for, how long they live, which slice of which global tensor they hold, and which tokens their rows are.

import type { DType } from "../units/dtype.ts";
import type { Axis } from "./mesh.ts";

/** Index into Block.buffers. */
export type BufferId = number;

export type BufferKind = "parameter" | "gradient" | "optimizer" | "activation" | "workspace";

/** HBM of the device, host memory, NVMe. */
export type MemoryTier = "hbm" | "host" | "nvme";

/**
 * persistent: lives through steps, one per block use (parameters, main gradients, optimizer state).
 * gathered: full parameters made from shards; life set by Program.gatherPolicy.
 * run: whole gradients, one per block use, from the first backward of a run of micro-batches to the end of the reduction after its last (gradientRuns.ts).
 * micro: one per micro-batch and block use; allocated at first write, freed after the last read (liveness.ts).
 */
export type BufferScope = "persistent" | "gathered" | "run" | "micro";

export interface BufferDecl {
  readonly name: string;
  /** Per rank, elements. */
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly kind: BufferKind;
  readonly scope: BufferScope;
  readonly tier: MemoryTier;
  /** A window of another buffer of the block: it owns no memory; reads and writes go to the base, which lives as long as any view is used. Views do not nest. */
  readonly view?: BufferView;
  /**
   * Held once per pipeline rank although two block uses name it (a tied embedding whose first and last stage lie on one rank): this declaration owns
   * no memory and stands for the buffer of the same `param.name`, kind and name in the block use that owns it.
   */
  readonly shared?: boolean;
  /** Present on parameters and their gathered, gradient and optimizer forms: which slice of which global tensor this is. */
  readonly param?: ParamSlice;
}

/**
 * columns / rows: [from, from + extent of the view's shape) of the base. shard: this rank's own flattened shard of the base, of ceil(n / axis size)
 * elements (zero-padded at the end), as in flat collectives.
 */
export type BufferView =
  | { readonly kind: "columns" | "rows"; readonly of: BufferId; readonly from: number }
  | { readonly kind: "shard"; readonly of: BufferId; readonly axis: Axis };

/**
 * A parameter's global tensor and how a rank's slice is cut from it. The global tensor is [sum of segments along dim 0, columns].
 * Each segment (q, k, v of a fused projection; gate and up of a gated ffn) is split evenly over `axis` along `dim`; the rank's tensor is
 * the concatenation of its parts. A segment with parts < axis size is replicated over axisSize / parts neighbours (kv heads < tp).
 */
export interface ParamSlice {
  /** Unique in the model: `layers.3.attention.qkv`. In a shared block the layer part is `*` (or `*+k`, k layers further) and the block use supplies it: see `paramName`. */
  readonly name: string;
  readonly segments: readonly { readonly rows: number; readonly parts: number }[];
  readonly columns: number;
  readonly axis: Axis | null;
  readonly dim: 0 | 1;
  /** Routed expert weights carry a leading expert dim of `experts` global experts, split over ep; null otherwise. */
  readonly experts: number | null;
  readonly init: "normal" | "zeros" | "ones";
}

/** Which global tokens the rows of a matrix are. Rows run batch-major: all local positions of sequence 0, then of sequence 1... */
export interface TokenLayout {
  /** Sequences of the micro-batch. */
  readonly batch: number;
  /** Tokens of a whole sequence. */
  readonly seqLen: number;
  /**
   * How positions are dealt to cp ranks: none (all here); contiguous: rank c has the c-th of cp equal pieces;
   * zigzag: pieces c and 2 cp - 1 - c of 2 cp. With cpRing x cpUlysses the ring coordinate deals first (contiguous or zigzag over the
   * ring size), then the Ulysses coordinate takes a contiguous piece of the ring rank's list.
   */
  readonly cp: "none" | "contiguous" | "zigzag";
  /** False after a Ulysses exchange: rows are the ring rank's whole list, heads are split instead. */
  readonly ulyssesSplit: boolean;
  /** Sequence parallel: rows further split contiguously over tp (rank t has the t-th of tp pieces of the row list). */
  readonly tpSplit: boolean;
  /** A window [rowsFrom, rowsFrom + numRows) of that row list (token chunks of a fused loss); the whole list when absent. */
  readonly rowsFrom?: number;
  readonly numRows?: number;
}
