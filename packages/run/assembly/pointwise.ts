// Row-wise kernels: sums and products, norms, the statistics and the gradient of cross-entropy, AdamW. Matrices are (pointer, stride in elements).

import { exp1, expv } from "./exp";
import { at, splat, sum4 } from "./lanes";

/** y = a + b, or a * b. */
export function combineRows(
  rows: i32,
  cols: i32,
  a: usize,
  as: i32,
  b: usize,
  bs: i32,
  y: usize,
  ys: i32,
  multiplies: bool,
): void {
  for (let i = 0; i < rows; i++) {
    const p = at(a, i, as);
    const q = at(b, i, bs);
    const to = at(y, i, ys);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      const x = v128.load(p + o);
      const z = v128.load(q + o);
      v128.store(to + o, multiplies ? f32x4.mul(x, z) : f32x4.add(x, z));
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      const x = load<f32>(p + o);
      const z = load<f32>(q + o);
      store<f32>(to + o, multiplies ? x * z : x + z);
    }
  }
}

/** Sums of x - mean and its squares run over lanes; n is a multiple of 4. */
export function normRows(
  centres: bool,
  rows: i32,
  n: i32,
  x: usize,
  xs: i32,
  weight: usize,
  bias: usize,
  y: usize,
  ys: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    const to = at(y, i, ys);
    const mean = centres ? meanOf(from, n) : 0;
    const inverse = inverseOf(from, n, mean);
    const mv = f32x4.splat(mean);
    const iv = f32x4.splat(inverse);
    for (let j = 0; j < n; j += 4) {
      const o = <usize>j << 2;
      let r = f32x4.mul(f32x4.mul(f32x4.sub(v128.load(from + o), mv), iv), v128.load(weight + o));
      if (bias != 0) r = f32x4.add(r, v128.load(bias + o));
      v128.store(to + o, r);
    }
  }
}

function meanOf(from: usize, n: i32): f32 {
  let sum = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) sum = f32x4.add(sum, v128.load(from + (<usize>j << 2)));
  return sum4(sum) / <f32>n;
}

function inverseOf(from: usize, n: i32, mean: f32): f32 {
  const mv = f32x4.splat(mean);
  let sum = f32x4.splat(0);
  for (let j = 0; j < n; j += 4) {
    const d = f32x4.sub(v128.load(from + (<usize>j << 2)), mv);
    sum = f32x4.add(sum, f32x4.mul(d, d));
  }
  return <f32>1 / sqrt(sum4(sum) / <f32>n + <f32>1e-5);
}

/** dx written; dweight and dbias (0: none) added to. */
export function normRowsBackward(
  centres: bool,
  rows: i32,
  n: i32,
  x: usize,
  xs: i32,
  weight: usize,
  dy: usize,
  dys: i32,
  dx: usize,
  dxs: i32,
  dweight: usize,
  dbias: usize,
): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    const grad = at(dy, i, dys);
    const to = at(dx, i, dxs);
    const mean = centres ? meanOf(from, n) : 0;
    const inverse = inverseOf(from, n, mean);
    const mv = f32x4.splat(mean);
    const iv = f32x4.splat(inverse);
    let dot = f32x4.splat(0);
    let sum = f32x4.splat(0);
    for (let j = 0; j < n; j += 4) {
      const o = <usize>j << 2;
      const g = v128.load(grad + o);
      const hat = f32x4.mul(f32x4.sub(v128.load(from + o), mv), iv);
      const dhat = f32x4.mul(g, v128.load(weight + o));
      dot = f32x4.add(dot, f32x4.mul(hat, dhat));
      sum = f32x4.add(sum, dhat);
      v128.store(dweight + o, f32x4.add(v128.load(dweight + o), f32x4.mul(g, hat)));
      if (dbias != 0) v128.store(dbias + o, f32x4.add(v128.load(dbias + o), g));
    }
    const dots = f32x4.splat(sum4(dot) / <f32>n);
    const means = f32x4.splat(centres ? sum4(sum) / <f32>n : 0);
    for (let j = 0; j < n; j += 4) {
      const o = <usize>j << 2;
      const hat = f32x4.mul(f32x4.sub(v128.load(from + o), mv), iv);
      const dhat = f32x4.mul(v128.load(grad + o), v128.load(weight + o));
      v128.store(to + o, f32x4.mul(iv, f32x4.sub(f32x4.sub(dhat, means), f32x4.mul(hat, dots))));
    }
  }
}

export function rowMaxima(rows: i32, cols: i32, x: usize, xs: i32, out: usize, os: i32): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    let most = f32x4.splat(-Infinity);
    let j = 0;
    for (; j + 4 <= cols; j += 4) most = f32x4.max(most, v128.load(from + (<usize>j << 2)));
    let value = max(
      max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
      max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
    );
    for (; j < cols; j++) value = max(value, load<f32>(from + (<usize>j << 2)));
    store<f32>(at(out, i, os), value);
  }
}

/** Sum of exp(x - m) by rows. */
export function rowExpSums(rows: i32, cols: i32, x: usize, xs: i32, m: usize, ms: i32, out: usize, os: i32): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    const top = load<f32>(at(m, i, ms));
    const mv = f32x4.splat(top);
    let sum = f32x4.splat(0);
    let j = 0;
    for (; j + 4 <= cols; j += 4) sum = f32x4.add(sum, expv(f32x4.sub(v128.load(from + (<usize>j << 2)), mv)));
    let value = sum4(sum);
    for (; j < cols; j++) value += exp1(load<f32>(from + (<usize>j << 2)) - top);
    store<f32>(at(out, i, os), value);
  }
}

/** y = factor * exp(x - m) / sum by rows; y may be x. */
export function softmaxRows(
  rows: i32,
  cols: i32,
  x: usize,
  xs: i32,
  m: usize,
  ms: i32,
  sums: usize,
  ss: i32,
  y: usize,
  ys: i32,
  factor: f32,
): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    const to = at(y, i, ys);
    const top = load<f32>(at(m, i, ms));
    const mv = f32x4.splat(top);
    const scale = factor / load<f32>(at(sums, i, ss));
    const sv = f32x4.splat(scale);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      v128.store(to + o, f32x4.mul(sv, expv(f32x4.sub(v128.load(from + o), mv))));
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      store<f32>(to + o, scale * exp1(load<f32>(from + o) - top));
    }
  }
}

/** Sums over rows, added to out. */
export function columnSums(rows: i32, cols: i32, x: usize, xs: i32, out: usize): void {
  for (let i = 0; i < rows; i++) {
    const from = at(x, i, xs);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      v128.store(out + o, f32x4.add(v128.load(out + o), v128.load(from + o)));
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      store<f32>(out + o, load<f32>(out + o) + load<f32>(from + o));
    }
  }
}

/** Decoupled weight decay and bias correction (arXiv 1711.05101), elementwise over n contiguous values. */
export function adamw(
  n: i32,
  grad: usize,
  master: usize,
  m: usize,
  v: usize,
  beta1: f32,
  beta2: f32,
  gradScale: f32,
  keep: f32,
  rate1: f32,
  unbias2: f32,
  epsilon: f32,
): void {
  const b1 = f32x4.splat(beta1);
  const c1 = f32x4.splat(1 - beta1);
  const b2 = f32x4.splat(beta2);
  const c2 = f32x4.splat(1 - beta2);
  let j = 0;
  for (; j + 4 <= n; j += 4) {
    const o = <usize>j << 2;
    const g = f32x4.mul(v128.load(grad + o), f32x4.splat(gradScale));
    const first = f32x4.add(f32x4.mul(b1, v128.load(m + o)), f32x4.mul(c1, g));
    const second = f32x4.add(f32x4.mul(b2, v128.load(v + o)), f32x4.mul(c2, f32x4.mul(g, g)));
    v128.store(m + o, first);
    v128.store(v + o, second);
    const root = f32x4.add(f32x4.sqrt(f32x4.mul(second, f32x4.splat(unbias2))), f32x4.splat(epsilon));
    const step = f32x4.div(f32x4.mul(f32x4.splat(rate1), first), root);
    v128.store(master + o, f32x4.sub(f32x4.mul(v128.load(master + o), f32x4.splat(keep)), step));
  }
  for (; j < n; j++) {
    const o = <usize>j << 2;
    const g = load<f32>(grad + o) * gradScale;
    const first = beta1 * load<f32>(m + o) + (1 - beta1) * g;
    const second = beta2 * load<f32>(v + o) + (1 - beta2) * g * g;
    store<f32>(m + o, first);
    store<f32>(v + o, second);
    store<f32>(master + o, load<f32>(master + o) * keep - (rate1 * first) / (sqrt(second * unbias2) + epsilon));
  }
}
