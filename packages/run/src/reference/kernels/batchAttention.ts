// Unfused attention: six batched matrix products over (sequence, head) and a masked softmax by rows.
// scores and probs are [batch * heads * queries, keys], rows ordered by sequence, then head, then query.

import { assert } from "@meshwright/core";
import { type AttentionRows, visibleKeys } from "./attention.ts";
import { add, at, clear, type Mat, set } from "./mat.ts";

export type BatchProduct = "scores" | "context" | "gradProbs" | "gradV" | "gradQ" | "gradK";

/** out = a x b per (sequence, head); gradV and gradK sum over the query heads that share a kv head. */
export function batchMatmul(which: BatchProduct, rows: AttentionRows, a: Mat, b: Mat, out: Mat): void {
  const { heads, kvHeads, headDim: d, vHeadDim: dv, layout } = rows.geometry;
  const numQueries = rows.queries.position.length / layout.batch;
  const numKeys = rows.keys.position.length / layout.batch;
  const scale = 1 / Math.sqrt(d);
  if (which === "gradV" || which === "gradK" || which === "context" || which === "gradQ") clear(out);
  for (let sequence = 0; sequence < layout.batch; sequence++) {
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor((head * kvHeads) / heads);
      for (let i = 0; i < numQueries; i++) {
        const query = sequence * numQueries + i;
        const row = (sequence * heads + head) * numQueries + i;
        for (let j = 0; j < numKeys; j++) {
          const key = sequence * numKeys + j;
          switch (which) {
            case "scores":
              set(out, row, j, dot(a, query, head * d, b, key, kv * d, d) * scale);
              break;
            case "gradProbs":
              set(out, row, j, dot(a, query, head * dv, b, key, kv * dv, dv));
              break;
            case "context":
              axpy(out, query, head * dv, at(a, row, j), b, key, kv * dv, dv);
              break;
            case "gradV":
              axpy(out, key, kv * dv, at(a, row, j), b, query, head * dv, dv);
              break;
            case "gradQ":
              axpy(out, query, head * d, at(a, row, j) * scale, b, key, kv * d, d);
              break;
            case "gradK":
              axpy(out, key, kv * d, at(a, row, j) * scale, b, query, head * d, d);
              break;
          }
        }
      }
    }
  }
}

function dot(a: Mat, i: number, ai: number, b: Mat, j: number, bj: number, n: number): number {
  let sum = 0;
  for (let c = 0; c < n; c++) sum += at(a, i, ai + c) * at(b, j, bj + c);
  return sum;
}

function axpy(out: Mat, i: number, oi: number, factor: number, x: Mat, j: number, xj: number, n: number): void {
  for (let c = 0; c < n; c++) add(out, i, oi + c, factor * at(x, j, xj + c));
}

/** Softmax over the visible keys of each row, 0 elsewhere. */
export function softmax(rows: AttentionRows, x: Mat, y: Mat): void {
  const { heads, layout } = rows.geometry;
  const numQueries = rows.queries.position.length / layout.batch;
  const numKeys = rows.keys.position.length / layout.batch;
  assert(x.rows === layout.batch * heads * numQueries && x.cols === numKeys, `softmax of ${x.rows} x ${x.cols}`);
  for (let row = 0; row < x.rows; row++) {
    const sequence = Math.floor(row / (heads * numQueries));
    const visible = visibleKeys(rows, sequence * numQueries + (row % numQueries)).map(
      (key) => key - sequence * numKeys,
    );
    let most = Number.NEGATIVE_INFINITY;
    for (const j of visible) most = Math.max(most, at(x, row, j));
    const weights = visible.map((j) => Math.exp(at(x, row, j) - most));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    for (let j = 0; j < x.cols; j++) set(y, row, j, 0);
    for (const [n, j] of visible.entries()) set(y, row, j, weights[n]! / sum);
  }
}

/** dx = y (dy - sum over the row of dy y). */
export function softmaxBackward(y: Mat, dy: Mat, dx: Mat): void {
  for (let row = 0; row < y.rows; row++) {
    let sum = 0;
    for (let j = 0; j < y.cols; j++) sum += at(y, row, j) * at(dy, row, j);
    for (let j = 0; j < y.cols; j++) set(dx, row, j, at(y, row, j) * (at(dy, row, j) - sum));
  }
}
