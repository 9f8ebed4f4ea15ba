// Attention over token lists, so that ring steps, zigzag pieces, windows and cross attention are one loop: row i of q is query
// position queries.position[i] of its sequence, row j of k and v a key. Only pairs of one sequence that the mask allows count.

import { type AttentionGeometry, assert, attends, type TokenRows } from "@meshwright/core";
import { add, at, clear, type Mat, set } from "./mat.ts";

export interface AttentionRows {
  readonly geometry: AttentionGeometry;
  readonly queries: TokenRows;
  readonly keys: TokenRows;
}

/** Key rows visible to query row i. */
export function visibleKeys(rows: AttentionRows, i: number): number[] {
  const visible: number[] = [];
  for (let j = 0; j < rows.keys.position.length; j++) {
    if (rows.keys.sequence[j] !== rows.queries.sequence[i]) continue;
    if (attends(rows.geometry, rows.queries.position[i]!, rows.keys.position[j]!)) visible.push(j);
  }
  return visible;
}

/** Writes out and lse, or with `merge` combines with what is there: out = sum of exp(lse_i - lse) out_i, lse = log sum exp(lse_i). */
export function attention(rows: AttentionRows, q: Mat, k: Mat, v: Mat, out: Mat, lse: Mat, merge: boolean): void {
  const { heads, kvHeads, headDim: d, vHeadDim: dv } = rows.geometry;
  checkRows(rows, q, k, v);
  for (let i = 0; i < q.rows; i++) {
    const visible = visibleKeys(rows, i);
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor((head * kvHeads) / heads);
      const scores = visible.map((j) => score(q, k, i, j, head, kv, d));
      const own = logSumExp(scores);
      const before = merge ? at(lse, i, head) : Number.NEGATIVE_INFINITY;
      const total = logSumExp([before, own]);
      for (let c = 0; c < dv; c++) {
        let sum = merge && before > Number.NEGATIVE_INFINITY ? at(out, i, head * dv + c) * Math.exp(before - total) : 0;
        for (const [n, j] of visible.entries()) sum += Math.exp(scores[n]! - total) * at(v, j, kv * dv + c);
        set(out, i, head * dv + c, sum);
      }
      set(lse, i, head, total);
    }
  }
}

export interface AttentionBackwardArgs {
  readonly q: Mat;
  readonly k: Mat;
  readonly v: Mat;
  readonly out: Mat;
  readonly lse: Mat;
  readonly dout: Mat;
  readonly dq: Mat;
  readonly dk: Mat;
  readonly dv: Mat;
  readonly accumulateQ: boolean;
  readonly accumulateKv: boolean;
}

/** With the final out and lse the probabilities of any subset of keys are exp(score - lse) (FlashAttention-2, arXiv 2307.08691, algorithm 2). */
export function attentionBackward(rows: AttentionRows, args: AttentionBackwardArgs): void {
  const { heads, kvHeads, headDim: d, vHeadDim: dv } = rows.geometry;
  const { q, k, v, out, lse, dout, dq, dk } = args;
  checkRows(rows, q, k, v);
  if (!args.accumulateQ) clear(dq);
  if (!args.accumulateKv) {
    clear(dk);
    clear(args.dv);
  }
  const scale = 1 / Math.sqrt(d);
  for (let i = 0; i < q.rows; i++) {
    const visible = visibleKeys(rows, i);
    for (let head = 0; head < heads; head++) {
      const kv = Math.floor((head * kvHeads) / heads);
      let delta = 0;
      for (let c = 0; c < dv; c++) delta += at(dout, i, head * dv + c) * at(out, i, head * dv + c);
      for (const j of visible) {
        const p = Math.exp(score(q, k, i, j, head, kv, d) - at(lse, i, head));
        let dp = 0;
        for (let c = 0; c < dv; c++) {
          dp += at(dout, i, head * dv + c) * at(v, j, kv * dv + c);
          add(args.dv, j, kv * dv + c, p * at(dout, i, head * dv + c));
        }
        const ds = p * (dp - delta) * scale;
        for (let c = 0; c < d; c++) {
          add(dq, i, head * d + c, ds * at(k, j, kv * d + c));
          add(dk, j, kv * d + c, ds * at(q, i, head * d + c));
        }
      }
    }
  }
}

function score(q: Mat, k: Mat, i: number, j: number, head: number, kv: number, d: number): number {
  let sum = 0;
  for (let c = 0; c < d; c++) sum += at(q, i, head * d + c) * at(k, j, kv * d + c);
  return sum / Math.sqrt(d);
}

function logSumExp(values: readonly number[]): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  if (most === Number.NEGATIVE_INFINITY) return most;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  return most + Math.log(sum);
}

function checkRows(rows: AttentionRows, q: Mat, k: Mat, v: Mat): void {
  const { heads, kvHeads, headDim, vHeadDim } = rows.geometry;
  assert(
    q.rows === rows.queries.position.length && k.rows === rows.keys.position.length && v.rows === k.rows,
    `attention rows ${q.rows}, ${k.rows}, ${v.rows} hold ${rows.queries.position.length} queries, ${rows.keys.position.length} keys`,
  );
  assert(
    q.cols === heads * headDim && k.cols === kvHeads * headDim && v.cols === kvHeads * vHeadDim,
    `attention columns ${q.cols}, ${k.cols}, ${v.cols} hold ${heads} x ${headDim}, ${kvHeads} x ${headDim}, ${kvHeads} x ${vHeadDim}`,
  );
}
