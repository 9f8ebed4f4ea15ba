// Ops that move or convert data: collectives, ring shifts, copies between tiers, casts, fills.

import type { DType } from "../../units/dtype.ts";
import type { BufferId, TokenLayout } from "../buffers.ts";
import type { Axis } from "../mesh.ts";
import type { OpBase } from "./base.ts";

/**
 * Collective over `axis`. xs and outs are lists that travel in one launch (bucket); each pair:
 *   allReduce: same shape. allGather / reduceScatter `rows`: outs rows = axis size x xs rows (or the reverse), in axis order.
 *   allGather / reduceScatter `flat`: one flattened, zero-padded shard of ceil(n / axis size) elements per rank <-> the full tensor.
 *   broadcast: from axis coordinate `root`.
 *   heads: Ulysses all-to-all, rows [batch x s_local, heads*d] <-> [batch x s_ring, heads/u*d] (`direction` toHeads | toTokens, headDim given).
 */
export interface CollectiveOp extends OpBase {
  readonly kind: "collective";
  readonly op: "allReduce" | "allGather" | "reduceScatter" | "broadcast" | "headsAllToAll";
  readonly reduce: "sum" | "max";
  readonly axis: Axis;
  readonly xs: readonly BufferId[];
  readonly outs: readonly BufferId[];
  readonly dim: "rows" | "flat" | "columns";
  readonly direction?: "toHeads" | "toTokens";
  readonly headDim?: number;
  readonly layout?: TokenLayout;
  /** Format on the wire; the buffers' own unless stated (fp8 all-gather). */
  readonly wire?: DType;
  /** Scales the sum (1/n averages); 1 when absent. */
  readonly scale?: number;
}

/** Pass xs to the next ring coordinate and receive outs from the previous one. */
export interface RingShiftOp extends OpBase {
  readonly kind: "ringShift";
  readonly axis: "cpRing";
  readonly xs: readonly BufferId[];
  readonly outs: readonly BufferId[];
}

/** Move between memory tiers (the two buffers' tiers differ) or duplicate within one. */
export interface CopyOp extends OpBase {
  readonly kind: "copy";
  readonly x: BufferId;
  readonly out: BufferId;
}

/** Change of number format (quantise activations or weights to fp8, main gradients to bf16...): numbers unchanged in the reference. */
export interface CastOp extends OpBase {
  readonly kind: "cast";
  readonly x: BufferId;
  readonly out: BufferId;
  /** Rows are cast part by part, a kernel each (one per local expert); 1 when absent. */
  readonly numParts?: number;
}

/** Every element of out becomes `value`. */
export interface FillOp extends OpBase {
  readonly kind: "fill";
  readonly out: BufferId;
  readonly value: number;
}

export type MovementOp = CollectiveOp | RingShiftOp | CopyOp | CastOp | FillOp;
