// The matrices that Muon orthogonalises: each projection of a fused parameter (q, k, v; gate, up) and each expert is one, whole, however ranks split it.

import type { ParamSlice } from "./buffers.ts";

export interface MuonMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Matrices of this shape: the rank's experts; 1 elsewhere. */
  readonly count: number;
}

/** Newton-Schulz steps (K. Jordan, "Muon", 2024). */
export const muonSteps = 5;

/** @param ep ranks over which experts are dealt. */
export function muonMatrices(slice: ParamSlice, ep: number): MuonMatrix[] {
  const count = slice.experts === null ? 1 : slice.experts / ep;
  return slice.segments.map(({ rows }) => ({ rows, columns: slice.columns, count }));
}

/** Elements of the workspace for one matrix at a time: it and its next form, X X^T and the polynomial of that, for the largest. */
export function muonScratchElements(matrices: readonly MuonMatrix[]): number {
  let most = 0;
  for (const { rows, columns } of matrices) {
    const small = Math.min(rows, columns);
    most = Math.max(most, 2 * small * (Math.max(rows, columns) + small));
  }
  return most;
}
