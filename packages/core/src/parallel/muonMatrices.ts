// The matrices that Muon orthogonalises: each projection of a fused parameter (q, k, v; gate, up) and each expert is one, whole, however ranks split it. Ranks
// that shard parameters deal them: each matrix goes to one rank of the group, so that all have about the same work.

import { assert } from "../units/errors.ts";
import type { ParamSlice } from "./buffers.ts";
import { type Axis, axisSize, type Mesh } from "./mesh.ts";

export interface MuonMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Elements of the rank's slice of its parameter that belong to it, one after another. */
  readonly from: number;
  readonly length: number;
}

/** Who orthogonalises what, in coordinates along `axis`. */
export interface MuonDeal {
  readonly axis: Axis;
  /** By parameter, by matrix in the order of muonMatrices(). */
  readonly owners: readonly (readonly number[])[];
}

/** Elements that travel from a rank's shard of a parameter to the owner of a matrix, or back. */
export interface DealMove {
  readonly parameter: number;
  readonly shardRank: number;
  readonly owner: number;
  readonly shardFrom: number;
  /** Where among all that the owner has of the deal. */
  readonly ownedFrom: number;
  readonly length: number;
}

/** Newton-Schulz steps (K. Jordan, "Muon", 2024). */
export const muonSteps = 5;

/** Matrices of a rank's slice, experts one after another, in each its segments. */
export function muonMatrices(slice: ParamSlice, mesh: Mesh): MuonMatrix[] {
  const ranks = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
  const matrices: MuonMatrix[] = [];
  let from = 0;
  for (let expert = 0; expert < (slice.experts ?? mesh.ep) / mesh.ep; expert++) {
    for (const { rows, parts } of slice.segments) {
      const split = slice.axis === null ? 1 : slice.dim === 0 ? parts : ranks;
      const length = (rows * slice.columns) / split;
      matrices.push({ rows, columns: slice.columns, from, length });
      from += length;
    }
  }
  return matrices;
}

/** FLOPs of the products of one matrix: X X^T, its square, and that times X, in each step. */
export function newtonSchulzFlops({ rows, columns }: MuonMatrix, steps: number): number {
  const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
  return steps * (4 * small * small * large + 2 * small ** 3);
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

/** Deals matrices, the largest first, each to the rank that has least to do. @param loads FLOPs of each rank so far; they grow. */
export function dealMatrices(slices: readonly ParamSlice[], mesh: Mesh, axis: Axis, loads: Float64Array): MuonDeal {
  const all = slices.flatMap((slice, parameter) =>
    muonMatrices(slice, mesh).map((matrix, index) => ({
      parameter,
      index,
      flops: newtonSchulzFlops(matrix, muonSteps),
    })),
  );
  const owners: number[][] = slices.map(() => []);
  for (const { parameter, index, flops } of [...all].sort((a, b) => b.flops - a.flops)) {
    let least = 0;
    for (let rank = 1; rank < loads.length; rank++) if (loads[rank]! < loads[least]!) least = rank;
    loads[least]! += flops;
    owners[parameter]![index] = least;
  }
  return { axis, owners };
}

/** What each rank of the group owns, in elements of slices. */
export function ownedElements(slices: readonly ParamSlice[], mesh: Mesh, deal: MuonDeal): number[] {
  const owned = Array.from({ length: axisSize(mesh, deal.axis) }, () => 0);
  for (const [p, slice] of slices.entries())
    for (const [m, { length }] of muonMatrices(slice, mesh).entries()) owned[deal.owners[p]![m]!]! += length;
  return owned;
}

/** Every piece that travels, by parameter, matrix and shard. */
export function dealMoves(slices: readonly ParamSlice[], mesh: Mesh, deal: MuonDeal): DealMove[] {
  const ranks = axisSize(mesh, deal.axis);
  const owned = Array.from({ length: ranks }, () => 0);
  const moves: DealMove[] = [];
  for (const [parameter, slice] of slices.entries()) {
    const matrices = muonMatrices(slice, mesh);
    const shard = Math.ceil(matrices.reduce((sum, { length }) => sum + length, 0) / ranks);
    for (const [m, { from, length }] of matrices.entries()) {
      const owner = deal.owners[parameter]![m];
      assert(owner !== undefined, `matrix ${m} of ${slice.name} has an owner`);
      for (let shardRank = Math.floor(from / shard); shardRank * shard < from + length; shardRank++) {
        const first = Math.max(from, shardRank * shard);
        const last = Math.min(from + length, (shardRank + 1) * shard);
        const ownedFrom = owned[owner]! + first - from;
        moves.push({
          parameter,
          shardRank,
          owner,
          shardFrom: first - shardRank * shard,
          ownedFrom,
          length: last - first,
        });
      }
      owned[owner]! += length;
    }
  }
  return moves;
}
