// What the norm of all gradients is made of.

import type { Mat } from "./mat.ts";

/** Of the elements [from, to) in row-major order. */
export function sumOfSquares(x: Mat, from: number, to: number): number {
  const { data, offset, stride, cols } = x;
  let sum = 0;
  let col = from % cols;
  let at = offset + Math.floor(from / cols) * stride + col;
  for (let e = from; e < to; e++) {
    sum += data[at]! ** 2;
    at++;
    if (++col < cols) continue;
    col = 0;
    at += stride - cols;
  }
  return sum;
}
