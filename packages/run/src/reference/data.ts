// The data of a reference step: token ids as a pure function of (sequence, position), and which sequences a rank reads.
// Micro-batch m of data-parallel rank d holds sequences (m dp + d) batch + i, so all strategies of one global batch see the same ones. Where shares of the
// batch differ, the replicas' sequences follow one another: those of d begin after all of the replicas before it.

import type { Mesh, TokenLayout, TokenRows } from "@meshwright/core";
import { coordinateAlong } from "@meshwright/core";
import { hash32 } from "./hash.ts";

/** Id of the token at a position of a global sequence. Positions beyond the sequence exist: the last tokens need targets. */
export function tokenId(vocab: number, sequence: number, position: number): number {
  return hash32("token", sequence, position) % vocab;
}

/** Global tokens of the rows of a matrix. */
export interface GlobalRows extends TokenRows {
  /** sequence x seqLen + position. */
  readonly token: Int32Array;
}

/** What the rows of a layout hold on a rank in a micro-batch; `sequence` is global here. */
export function globalRows(
  local: TokenRows,
  layout: TokenLayout,
  mesh: Mesh,
  rank: number,
  microBatch: number,
  shares?: readonly number[],
): GlobalRows {
  const replica = coordinateAlong(mesh, rank, "dp");
  const index =
    shares === undefined
      ? microBatch * mesh.dp + replica
      : shares.slice(0, replica).reduce((sum, share) => sum + share, microBatch);
  const first = index * layout.batch;
  const sequence = local.sequence.map((index) => first + index);
  return {
    sequence,
    position: local.position,
    token: sequence.map((s, row) => s * layout.seqLen + local.position[row]!),
  };
}

/** Token ids of a step. */
export interface Tokens {
  /** @param sequence of the step, all ranks counted. @param position 0-based; up to a sequence's length and the shift of its last target. */
  id(sequence: number, position: number): number;
}

/** The data of the proofs. */
export function hashedTokens(vocab: number): Tokens {
  return { id: (sequence, position) => tokenId(vocab, sequence, position) };
}

export function idsOf(rows: TokenRows, tokens: Tokens, shift: number): Int32Array {
  return rows.sequence.map((sequence, row) => tokens.id(sequence, rows.position[row]! + shift));
}
