// Matrices dealt to ranks (Muon): the pieces of an op's deal, worked out once, and how many elements each rank sends.

import { assert, axisSize, type DealMove, type DealOp, dealMoves, type Mesh } from "@meshwright/core";
import type { Mat } from "./kernels/mat.ts";

const known = new WeakMap<DealOp["deal"], readonly DealMove[]>();

export function movesOf(op: DealOp, mesh: Mesh): readonly DealMove[] {
  let moves = known.get(op.deal);
  if (moves === undefined) {
    moves = dealMoves(op.slices, mesh, op.deal);
    known.set(op.deal, moves);
  }
  return moves;
}

/** Elements that each rank of the group sends, what it keeps included, in coordinate order. */
export function sentElements(op: DealOp, mesh: Mesh): number[] {
  const sent = Array.from({ length: axisSize(mesh, op.deal.axis) }, () => 0);
  for (const { shardRank, owner, length } of movesOf(op, mesh))
    sent[op.direction === "toOwners" ? shardRank : owner]! += length;
  return sent;
}

/** Where a piece lies on the rank that sends it and on the one that takes it: which of the op's buffers, and from which element. */
export function endsOf(
  op: DealOp,
  move: DealMove,
): Record<"from" | "to", { readonly rank: number; readonly buffer: number; readonly at: number }> {
  const shard = { rank: move.shardRank, buffer: move.parameter, at: move.shardFrom };
  const owned = { rank: move.owner, buffer: 0, at: move.ownedFrom };
  return op.direction === "toOwners" ? { from: shard, to: owned } : { from: owned, to: shard };
}

/** `length` elements of a contiguous matrix from `at` on. */
export function stretch(m: Mat, at: number, length: number): Float32Array | Float64Array {
  assert(m.stride === m.cols || m.rows === 1, "dealt elements lie together");
  return m.data.subarray(m.offset + at, m.offset + at + length);
}
