// Matrix multiplication, plain and grouped by expert, and column sums.

import { assert } from "@meshwright/core";
import { at, type Mat, rowsOf, set } from "./mat.ts";

export interface MatmulFlags {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly accumulate: boolean;
  /** The bias is added times this; 1 when absent. */
  readonly biasScale?: number;
}

/** out (+)= op(a) op(b) + biasScale x bias. */
export function matmul(a: Mat, b: Mat, out: Mat, flags: MatmulFlags, bias?: Mat): void {
  const [m, k] = flags.transA ? [a.cols, a.rows] : [a.rows, a.cols];
  const [kb, n] = flags.transB ? [b.cols, b.rows] : [b.rows, b.cols];
  assert(
    k === kb && out.rows === m && out.cols === n,
    `matmul [${m},${k}] x [${kb},${n}] into [${out.rows},${out.cols}]`,
  );
  // Steps of the summed index and of the outer ones, in elements; this loop is most of the reference's time.
  const [aOuter, aInner] = flags.transA ? [1, a.stride] : [a.stride, 1];
  const [bOuter, bInner] = flags.transB ? [b.stride, 1] : [1, b.stride];
  const [x, y, z] = [a.data, b.data, out.data];
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < n; j++) {
      let sum = bias === undefined ? 0 : (flags.biasScale ?? 1) * at(bias, 0, j);
      let left = a.offset + i * aOuter;
      let right = b.offset + j * bOuter;
      for (let l = 0; l < k; l++) {
        sum += x[left]! * y[right]!;
        left += aInner;
        right += bInner;
      }
      const to = out.offset + i * out.stride + j;
      z[to] = flags.accumulate ? z[to]! + sum : sum;
    }
  }
}

/**
 * Rows of a are sorted by expert, counts[e] of them for local expert e; b stacks the experts' weights [N, K].
 * forward: out = a b_e^T. inputGrad: out = a b_e. weightGrad: out_e (+)= b^T a over the expert's rows (b the output gradient).
 */
export function groupedMatmul(
  role: "forward" | "inputGrad" | "weightGrad",
  a: Mat,
  b: Mat,
  out: Mat,
  counts: readonly number[],
  accumulate: boolean,
): void {
  const total = counts.reduce((sum, count) => sum + count, 0);
  assert(a.rows === total, `${a.rows} rows for groups of ${counts.join(" + ")}`);
  const weights = role === "weightGrad" ? out : b;
  const n = weights.rows / counts.length;
  let from = 0;
  for (const [expert, count] of counts.entries()) {
    const x = rowsOf(a, from, count);
    const weight = rowsOf(weights, expert * n, n);
    if (role === "weightGrad") matmul(rowsOf(b, from, count), x, weight, { transA: true, transB: false, accumulate });
    else matmul(x, weight, rowsOf(out, from, count), { transA: false, transB: role === "forward", accumulate });
    from += count;
  }
}

/** out (+)= column sums of x. */
export function biasGrad(x: Mat, out: Mat, accumulate: boolean): void {
  for (let j = 0; j < x.cols; j++) {
    let sum = accumulate ? at(out, 0, j) : 0;
    for (let i = 0; i < x.rows; i++) sum += at(x, i, j);
    set(out, 0, j, sum);
  }
}
