// Newton-Schulz steps of Muon (K. Jordan, "Muon", 2024): X <- a X + (b A + c A^2) X with A = X X^T, from X scaled to Frobenius norm 1. Singular vectors stay,
// singular values come near 1 (between 0.7 and 1.2 where they were not tiny).

import { assert } from "@meshwright/core";
import type { matmul } from "./linear.ts";
import type { Mat } from "./mat.ts";

/** The quintic's coefficients, which lift small singular values fastest (K. Jordan, 2024). */
const [linear, cubic, quintic] = [3.4445, -4.775, 2.0315];
/** Added to the norm, so that zeros stay zeros. */
const epsilon = 1e-7;
/** The size of updates of AdamW, by root mean square (arXiv 2502.16982, section 2.2). */
const updateRms = 0.2;

/** What one matrix needs, each contiguous: x and next are [small, large], gram and polynomial [small, small]. */
export interface NewtonSchulzRoom {
  readonly x: Mat;
  readonly next: Mat;
  readonly gram: Mat;
  readonly polynomial: Mat;
}

/** Room for a matrix of [rows, columns] at the beginning of a workspace. */
export function roomIn(scratch: Mat, rows: number, columns: number): NewtonSchulzRoom {
  const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
  let from = scratch.offset;
  const take = (cols: number): Mat => {
    const m = { data: scratch.data, rows: small, cols, stride: cols, offset: from };
    from += small * cols;
    return m;
  };
  const room = { x: take(large), next: take(large), gram: take(small), polynomial: take(small) };
  assert(from <= scratch.offset + scratch.rows * scratch.cols, `workspace holds a matrix of ${rows} x ${columns}`);
  return room;
}

/** Orthogonalises `room.x`, which holds the matrix with its shorter side as rows. @returns where the result lies: `room.x` or `room.next`. */
export function orthogonalise(room: NewtonSchulzRoom, steps: number, multiply: typeof matmul): Mat {
  let { x, next } = room;
  const { gram, polynomial } = room;
  let squares = 0;
  for (let i = 0; i < x.rows * x.cols; i++) squares += x.data[x.offset + i]! ** 2;
  scaleAndAdd(x, 1 / (Math.sqrt(squares) + epsilon), null, 0);
  for (let step = 0; step < steps; step++) {
    multiply(x, x, gram, { transA: false, transB: true, accumulate: false });
    multiply(gram, gram, polynomial, { transA: false, transB: false, accumulate: false });
    scaleAndAdd(polynomial, quintic, gram, cubic);
    multiply(polynomial, x, next, { transA: false, transB: false, accumulate: false });
    scaleAndAdd(next, 1, x, linear);
    [x, next] = [next, x];
  }
  return x;
}

/** How much a matrix of [rows, columns] is scaled, so that its update is as large as AdamW's whatever its shape. */
export function muonScale(rows: number, columns: number): number {
  return updateRms * Math.sqrt(Math.max(rows, columns));
}

/** x = scale x + factor other, contiguous. */
function scaleAndAdd(x: Mat, scale: number, other: Mat | null, factor: number): void {
  const { data, offset } = x;
  const length = x.rows * x.cols;
  if (other === null) {
    for (let i = offset; i < offset + length; i++) data[i]! *= scale;
    return;
  }
  const from = other.data;
  const shift = other.offset - offset;
  for (let i = offset; i < offset + length; i++) data[i] = scale * data[i]! + factor * from[i + shift]!;
}
