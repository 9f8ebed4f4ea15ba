// Rows that are weighted, gated, masked or turned into probabilities: routed tokens on their way, gates, dropout, the softmax of unfused attention.

import { exp1, expv } from "./exp";
import { at, sigmoid4, splat, sum4 } from "./lanes";

/** out = x x factor (+ out when adds): a row of n elements. */
export function scaledRow(out: usize, x: usize, factor: f32, adds: bool, n: i32): void {
  const f = splat(factor);
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    const o = <usize>j << 2;
    const v = f32x4.mul(f, v128.load(x + o));
    v128.store(out + o, adds ? f32x4.add(v128.load(out + o), v) : v);
  }
  for (; j < n; j++) {
    const o = <usize>j << 2;
    const v = factor * load<f32>(x + o);
    store<f32>(out + o, adds ? load<f32>(out + o) + v : v);
  }
}

export function dotRow(x: usize, y: usize, n: i32): f32 {
  let total = splat(0);
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    const o = <usize>j << 2;
    total = f32x4.add(total, f32x4.mul(v128.load(x + o), v128.load(y + o)));
  }
  let rest: f32 = 0;
  for (; j < n; j++) rest += load<f32>(x + (<usize>j << 2)) * load<f32>(y + (<usize>j << 2));
  return sum4(total) + rest;
}

/** out = sigmoid(gate) x; gateCols 1: one gate per row. */
export function sigmoidGate(
  gate: usize, gateRow: i32, wide: bool, x: usize, xRow: i32, out: usize, outRow: i32, rows: i32, cols: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const gi = at(gate, i, gateRow), xi = at(x, i, xRow), oi = at(out, i, outRow);
    const one = sigmoid4(v128.load32_splat(gi));
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      v128.store(oi + o, f32x4.mul(wide ? sigmoid4(v128.load(gi + o)) : one, v128.load(xi + o)));
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      v128.store32_lane(oi + o, f32x4.mul(wide ? sigmoid4(v128.load32_splat(gi + o)) : one, v128.load32_splat(xi + o)), 0);
    }
  }
}

/** dx = mask x factor x dy, the mask of zeros and ones. */
export function masked(dy: usize, dyRow: i32, mask: usize, maskRow: i32, dx: usize, dxRow: i32, factor: f32, rows: i32, cols: i32): void {
  const f = splat(factor);
  for (let i = 0; i < rows; i++) {
    const a = at(dy, i, dyRow), m = at(mask, i, maskRow), o = at(dx, i, dxRow);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const p = <usize>j << 2;
      v128.store(o + p, f32x4.mul(f32x4.mul(v128.load(a + p), v128.load(m + p)), f));
    }
    for (; j < cols; j++) {
      const p = <usize>j << 2;
      store<f32>(o + p, load<f32>(a + p) * load<f32>(m + p) * factor);
    }
  }
}

/** dx = y (dy - sum over the row of dy y). */
export function softmaxBackward(y: usize, yRow: i32, dy: usize, dyRow: i32, dx: usize, dxRow: i32, rows: i32, cols: i32): void {
  for (let i = 0; i < rows; i++) {
    const yi = at(y, i, yRow), gi = at(dy, i, dyRow), di = at(dx, i, dxRow);
    let total = splat(0);
    let j = 0;
    for (; j + 4 <= cols; j += 4) total = f32x4.add(total, f32x4.mul(v128.load(yi + (<usize>j << 2)), v128.load(gi + (<usize>j << 2))));
    let sum = sum4(total);
    for (; j < cols; j++) sum += load<f32>(yi + (<usize>j << 2)) * load<f32>(gi + (<usize>j << 2));
    const s = splat(sum);
    for (j = 0; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      v128.store(di + o, f32x4.mul(v128.load(yi + o), f32x4.sub(v128.load(gi + o), s)));
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      store<f32>(di + o, load<f32>(yi + o) * (load<f32>(gi + o) - sum));
    }
  }
}

/**
 * Masked softmax of rows ordered by sequence, head, query: a row has scores of all keys of its sequence. Those that do not count become 0.
 */
export function softmaxMasked(
  x: usize, xRow: i32, y: usize, yRow: i32, rows: i32, heads: i32, numQ: i32, numK: i32, causal: bool, window: i32,
  qpos: usize, kpos: usize,
): void {
  for (let r = 0; r < rows; r++) {
    const sequence = r / (heads * numQ);
    const p = load<i32>(qpos + (<usize>(sequence * numQ + (r % numQ)) << 2));
    const keys = kpos + (<usize>(sequence * numK) << 2);
    const xi = at(x, r, xRow), yi = at(y, r, yRow);
    let most: f32 = -Infinity;
    for (let j = 0; j < numK; j++) {
      const o = <usize>j << 2;
      const kp = load<i32>(keys + o);
      const counts = !(causal && kp > p) && (window == 0 || abs(p - kp) < window);
      const v: f32 = counts ? load<f32>(xi + o) : -Infinity;
      store<f32>(yi + o, v);
      most = max(most, v);
    }
    if (most == -Infinity) {
      memory.fill(yi, 0, <usize>numK << 2);
      continue;
    }
    const m = splat(most);
    let total = splat(0);
    let j = 0;
    for (; j + 4 <= numK; j += 4) {
      const e = expv(f32x4.sub(v128.load(yi + (<usize>j << 2)), m));
      v128.store(yi + (<usize>j << 2), e);
      total = f32x4.add(total, e);
    }
    let sum = sum4(total);
    for (; j < numK; j++) {
      const e = exp1(load<f32>(yi + (<usize>j << 2)) - most);
      store<f32>(yi + (<usize>j << 2), e);
      sum += e;
    }
    scaledRow(yi, yi, 1 / sum, false, numK);
  }
}
