// Fused attention of one head of one sequence, forward and backward, without the T x T matrix: blocks of 64 queries against blocks of 64 keys with a running maximum and
// sum (FlashAttention-2, arXiv 2307.08691, algorithms 1 and 2). Which pairs count follows from positions, so ring steps, zigzag pieces and windows are one loop; blocks
// without a pair are skipped. Rows are given by pointer and stride, positions as i32 lists.

import { exp1, expv } from "./exp";
import { gemm } from "./gemm";
import { attentionBlocks } from "./scratch";

const BLOCK: i32 = 64;
// Offsets in the blocks.
const GRADS: usize = 0x4000;
const MAXIMA: usize = 0x8000;
const SUMS: usize = 0x8100;
const DELTAS: usize = 0x8200;
const OUTPUT: usize = 0x9000;
const NEVER: f32 = -1e30;

function allowed(query: i32, key: i32, causal: bool, window: i32): bool {
  if (causal && key > query) return false;
  return window == 0 || abs(query - key) < window;
}

/** Whether any pair, and every pair, of the two blocks counts: 0 none, 1 some, 2 all. Positions of a block need not be sorted. */
function coverage(queries: usize, nq: i32, keys: usize, nk: i32, causal: bool, window: i32): i32 {
  let q0 = i32.MAX_VALUE;
  let q1 = i32.MIN_VALUE;
  for (let i = 0; i < nq; i++) {
    const p = load<i32>(queries + (<usize>i << 2));
    q0 = min(q0, p);
    q1 = max(q1, p);
  }
  let k0 = i32.MAX_VALUE;
  let k1 = i32.MIN_VALUE;
  for (let j = 0; j < nk; j++) {
    const p = load<i32>(keys + (<usize>j << 2));
    k0 = min(k0, p);
    k1 = max(k1, p);
  }
  if (causal && k0 > q1) return 0;
  if (window != 0 && (q0 - k1 >= window || k0 - q1 >= window)) return 0;
  const below = !causal || k1 <= q0;
  const near = window == 0 || (q1 - k0 < window && k1 - q0 < window);
  return below && near ? 2 : 1;
}

/** Scores of a block, scaled; pairs that do not count are NEVER. */
function scores(
  nq: i32,
  nk: i32,
  d: i32,
  q: usize,
  qs: i32,
  k: usize,
  ks: i32,
  queries: usize,
  keys: usize,
  cover: i32,
  causal: bool,
  window: i32,
  scale: f32,
): void {
  const blocks = attentionBlocks();
  gemm(nq, nk, d, q, qs, 1, k, 1, ks, blocks, BLOCK, false);
  const sv = f32x4.splat(scale);
  for (let i = 0; i < nq; i++) {
    const row = blocks + ((<usize>i * BLOCK) << 2);
    for (let j = 0; j < nk; j += 4) v128.store(row + (<usize>j << 2), f32x4.mul(sv, v128.load(row + (<usize>j << 2))));
    if (cover == 2) continue;
    const query = load<i32>(queries + (<usize>i << 2));
    for (let j = 0; j < nk; j++)
      if (!allowed(query, load<i32>(keys + (<usize>j << 2)), causal, window)) store<f32>(row + (<usize>j << 2), NEVER);
  }
}

export function attentionForward(
  nq: i32,
  nk: i32,
  d: i32,
  dv: i32,
  q: usize,
  qs: i32,
  k: usize,
  ks: i32,
  v: usize,
  vs: i32,
  out: usize,
  os: i32,
  lse: usize,
  ls: i32,
  queries: usize,
  keys: usize,
  causal: bool,
  window: i32,
  scale: f32,
  merges: bool,
): void {
  const blocks = attentionBlocks();
  for (let i0 = 0; i0 < nq; i0 += BLOCK) {
    const bq = min(BLOCK, nq - i0);
    const qp = q + ((<usize>i0 * qs) << 2);
    const positions = queries + (<usize>i0 << 2);
    for (let i = 0; i < bq; i++) {
      store<f32>(blocks + MAXIMA + (<usize>i << 2), NEVER);
      store<f32>(blocks + SUMS + (<usize>i << 2), 0);
    }
    memory.fill(blocks + OUTPUT, 0, (<usize>bq * dv) << 2);
    for (let j0 = 0; j0 < nk; j0 += BLOCK) {
      const bk = min(BLOCK, nk - j0);
      const keyed = keys + (<usize>j0 << 2);
      const cover = coverage(positions, bq, keyed, bk, causal, window);
      if (cover == 0) continue;
      scores(bq, bk, d, qp, qs, k + ((<usize>j0 * ks) << 2), ks, positions, keyed, cover, causal, window, scale);
      for (let i = 0; i < bq; i++) weigh(i, bk, dv);
      gemm(bq, dv, bk, blocks, BLOCK, 1, v + ((<usize>j0 * vs) << 2), vs, 1, blocks + OUTPUT, dv, true);
    }
    for (let i = 0; i < bq; i++)
      finish(i, dv, out + ((<usize>(i0 + i) * os) << 2), lse + ((<usize>(i0 + i) * ls) << 2), merges);
  }
}

/** Turns a row of scores into weights against the running maximum, and rescales what was summed before. */
function weigh(i: i32, bk: i32, dv: i32): void {
  const blocks = attentionBlocks();
  const row = blocks + ((<usize>i * BLOCK) << 2);
  const before = load<f32>(blocks + MAXIMA + (<usize>i << 2));
  let most = before;
  for (let j = 0; j < bk; j++) most = max(most, load<f32>(row + (<usize>j << 2)));
  if (most <= NEVER) {
    memory.fill(row, 0, <usize>bk << 2);
    return;
  }
  const mv = f32x4.splat(most);
  let sum: f32 = 0;
  let j = 0;
  for (; j + 4 <= bk; j += 4) {
    const p = expv(f32x4.sub(v128.load(row + (<usize>j << 2)), mv));
    v128.store(row + (<usize>j << 2), p);
    sum += f32x4.extract_lane(p, 0) + f32x4.extract_lane(p, 1) + f32x4.extract_lane(p, 2) + f32x4.extract_lane(p, 3);
  }
  for (; j < bk; j++) {
    const p = exp1(load<f32>(row + (<usize>j << 2)) - most);
    store<f32>(row + (<usize>j << 2), p);
    sum += p;
  }
  const keep = before <= NEVER ? <f32>0 : exp1(before - most);
  store<f32>(blocks + MAXIMA + (<usize>i << 2), most);
  store<f32>(blocks + SUMS + (<usize>i << 2), load<f32>(blocks + SUMS + (<usize>i << 2)) * keep + sum);
  if (keep != 1) scaleRow(blocks + OUTPUT + ((<usize>i * dv) << 2), dv, keep);
}

function scaleRow(row: usize, n: i32, factor: f32): void {
  const fv = f32x4.splat(factor);
  let j = 0;
  for (; j + 4 <= n; j += 4) v128.store(row + (<usize>j << 2), f32x4.mul(fv, v128.load(row + (<usize>j << 2))));
  for (; j < n; j++) store<f32>(row + (<usize>j << 2), factor * load<f32>(row + (<usize>j << 2)));
}

/** Divides a row by its sum and writes it, or joins it with what another part of the keys left there. */
function finish(i: i32, dv: i32, out: usize, lse: usize, merges: bool): void {
  const blocks = attentionBlocks();
  const sum = load<f32>(blocks + SUMS + (<usize>i << 2));
  const own: f32 = sum > 0 ? load<f32>(blocks + MAXIMA + (<usize>i << 2)) + Mathf.log(sum) : -Infinity;
  const before: f32 = merges ? load<f32>(lse) : -Infinity;
  const row = blocks + OUTPUT + ((<usize>i * dv) << 2);
  const most = max(before, own);
  if (most == -Infinity) {
    memory.fill(out, 0, <usize>dv << 2);
    store<f32>(lse, -Infinity);
    return;
  }
  const total: f32 =
    most +
    Mathf.log((before == -Infinity ? <f32>0 : exp1(before - most)) + (own == -Infinity ? <f32>0 : exp1(own - most)));
  const mine: f32 = own == -Infinity ? <f32>0 : exp1(own - total) / sum;
  const theirs: f32 = before == -Infinity ? <f32>0 : exp1(before - total);
  for (let j = 0; j < dv; j++) {
    const old: f32 = theirs == 0 ? <f32>0 : theirs * load<f32>(out + (<usize>j << 2));
    store<f32>(out + (<usize>j << 2), mine * load<f32>(row + (<usize>j << 2)) + old);
  }
  store<f32>(lse, total);
}

/** Adds to dq, dk and dv. */
export function attentionBackward(
  nq: i32,
  nk: i32,
  d: i32,
  dv: i32,
  q: usize,
  qs: i32,
  k: usize,
  ks: i32,
  v: usize,
  vs: i32,
  out: usize,
  os: i32,
  lse: usize,
  ls: i32,
  dout: usize,
  dos: i32,
  dq: usize,
  dqs: i32,
  dk: usize,
  dks: i32,
  dvp: usize,
  dvs: i32,
  queries: usize,
  keys: usize,
  causal: bool,
  window: i32,
  scale: f32,
): void {
  const blocks = attentionBlocks();
  for (let i0 = 0; i0 < nq; i0 += BLOCK) {
    const bq = min(BLOCK, nq - i0);
    const at = <usize>i0;
    const qp = q + ((at * qs) << 2);
    const gp = dout + ((at * dos) << 2);
    const positions = queries + (at << 2);
    for (let i = 0; i < bq; i++) {
      const o = out + (((at + i) * os) << 2);
      const g = gp + ((<usize>i * dos) << 2);
      let delta: f32 = 0;
      for (let c = 0; c < dv; c++) delta += load<f32>(o + (<usize>c << 2)) * load<f32>(g + (<usize>c << 2));
      store<f32>(blocks + DELTAS + (<usize>i << 2), delta);
    }
    for (let j0 = 0; j0 < nk; j0 += BLOCK) {
      const bk = min(BLOCK, nk - j0);
      const to = <usize>j0;
      const keyed = keys + (to << 2);
      const cover = coverage(positions, bq, keyed, bk, causal, window);
      if (cover == 0) continue;
      const kp = k + ((to * ks) << 2);
      scores(bq, bk, d, qp, qs, kp, ks, positions, keyed, cover, causal, window, scale);
      gemm(bq, bk, dv, gp, dos, 1, v + ((to * vs) << 2), 1, vs, blocks + GRADS, BLOCK, false);
      for (let i = 0; i < bq; i++) {
        const total = load<f32>(lse + (((at + i) * ls) << 2));
        const delta = f32x4.splat(load<f32>(blocks + DELTAS + (<usize>i << 2)));
        const row = blocks + ((<usize>i * BLOCK) << 2);
        const grad = blocks + GRADS + ((<usize>i * BLOCK) << 2);
        const tv = f32x4.splat(total);
        const sv = f32x4.splat(scale);
        for (let j = 0; j < bk; j += 4) {
          const o = <usize>j << 2;
          // A row without keys has lse -Infinity: its weights are none.
          const p = total == -Infinity ? f32x4.splat(0) : expv(f32x4.sub(v128.load(row + o), tv));
          v128.store(row + o, p);
          v128.store(grad + o, f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(grad + o), delta)), sv));
        }
      }
      gemm(bk, dv, bq, blocks, 1, BLOCK, gp, dos, 1, dvp + ((to * dvs) << 2), dvs, true);
      gemm(bq, d, bk, blocks + GRADS, BLOCK, 1, kp, ks, 1, dq + ((at * dqs) << 2), dqs, true);
      gemm(bk, d, bq, blocks + GRADS, 1, BLOCK, qp, qs, 1, dk + ((to * dks) << 2), dks, true);
    }
  }
}
