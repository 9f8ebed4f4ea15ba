// Activations and their gradients, for any number of columns: gated by the columns behind, and weighted by row where experts' gates come before their second product.
// tanh with the coefficients of Cephes tanhf (S. Moshier).

import { expv } from "./exp";
import { at, mulAdd, sigmoid4, splat, sum4 } from "./lanes";

const geluScale: f32 = 0.7978845608028654;
const geluCubic: f32 = 0.044715;

// Codes of activations, as src/execute/kernels/activations.ts has them.
const GELU = 0, SILU = 1, QUICK_GELU = 2, RELU = 3, RELU2 = 4;

@inline
function tanh4(x: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = f32x4.splat(-5.70498872745e-3);
  p = mulAdd(p, z, 2.06390887954e-2);
  p = mulAdd(p, z, -5.37397155531e-2);
  p = mulAdd(p, z, 1.33314422036e-1);
  p = mulAdd(p, z, -3.33332819422e-1);
  const small = f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x);
  const size = f32x4.abs(x);
  const e = expv(f32x4.add(size, size));
  const one = f32x4.splat(1);
  const big = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(e, one)));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.bitselect(small, v128.or(big, sign), f32x4.lt(size, f32x4.splat(0.625)));
}
/** gelu by 0.5 (1 + tanh u) = sigmoid(2 u), which keeps its relative accuracy for negative x. */
@inline
function geluGate(x: v128): v128 {
  const x2 = f32x4.mul(x, x);
  const u = f32x4.mul(x, f32x4.add(splat(1), f32x4.mul(splat(geluCubic), x2)));
  return sigmoid4(f32x4.mul(splat(2 * geluScale), u));
}

function activate(fn: i32, x: v128): v128 {
  const zero = splat(0);
  if (fn == SILU) return f32x4.mul(x, sigmoid4(x));
  if (fn == GELU) return f32x4.mul(x, geluGate(x));
  if (fn == RELU) return f32x4.max(x, zero);
  if (fn == RELU2) {
    const r = f32x4.max(x, zero);
    return f32x4.mul(r, r);
  }
  if (fn == QUICK_GELU) return f32x4.mul(x, sigmoid4(f32x4.mul(splat(1.702), x)));
  return tanh4(x);
}

function slope(fn: i32, x: v128): v128 {
  const zero = splat(0), one = splat(1);
  if (fn == SILU) {
    const s = sigmoid4(x);
    return f32x4.mul(s, f32x4.add(one, f32x4.mul(x, f32x4.sub(one, s))));
  }
  if (fn == GELU) {
    const s = geluGate(x);
    const inner = f32x4.add(one, f32x4.mul(splat(3 * geluCubic), f32x4.mul(x, x)));
    const bend = f32x4.mul(f32x4.mul(splat(2 * geluScale), x), f32x4.mul(f32x4.sub(one, s), inner));
    return f32x4.mul(s, f32x4.add(one, bend));
  }
  if (fn == RELU) return v128.and(one, f32x4.gt(x, zero));
  if (fn == RELU2) return f32x4.mul(splat(2), f32x4.max(x, zero));
  if (fn == QUICK_GELU) {
    const s = sigmoid4(f32x4.mul(splat(1.702), x));
    return f32x4.mul(s, f32x4.add(one, f32x4.mul(f32x4.mul(splat(1.702), x), f32x4.sub(one, s))));
  }
  const t = tanh4(x);
  return f32x4.sub(one, f32x4.mul(t, t));
}

/** y = scale[row] x act(x) x (gate if gate != 0); rowScale 0: none. */
export function activation(
  fn: i32, x: usize, xRow: i32, gate: usize, y: usize, yRow: i32, rowScale: usize, scaleRow: i32, rows: i32, cols: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const s = rowScale == 0 ? splat(1) : v128.load32_splat(at(rowScale, i, scaleRow));
    const xi = at(x, i, xRow), gi = at(gate, i, xRow), yi = at(y, i, yRow);
    let j = 0;
    for (; j + 4 <= cols; j += 4) {
      const o = <usize>j << 2;
      let v = f32x4.mul(s, activate(fn, v128.load(xi + o)));
      if (gate != 0) v = f32x4.mul(v, v128.load(gi + o));
      v128.store(yi + o, v);
    }
    for (; j < cols; j++) {
      const o = <usize>j << 2;
      let v = f32x4.mul(s, activate(fn, v128.load32_splat(xi + o)));
      if (gate != 0) v = f32x4.mul(v, v128.load32_splat(gi + o));
      v128.store32_lane(yi + o, v, 0);
    }
  }
}

/** dx (and dgate) from dy; dscale 0: none. */
export function activationBackward(
  fn: i32, x: usize, xRow: i32, gate: usize, dy: usize, dyRow: i32, dx: usize, dxRow: i32, dgate: usize,
  rowScale: usize, scaleRow: i32, dscale: usize, dscaleRow: i32, rows: i32, cols: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const s = rowScale == 0 ? splat(1) : v128.load32_splat(at(rowScale, i, scaleRow));
    const xi = at(x, i, xRow), gi = at(gate, i, xRow), dyi = at(dy, i, dyRow), dxi = at(dx, i, dxRow), dgi = at(dgate, i, dxRow);
    let total = splat(0);
    let rest: f32 = 0;
    let j = 0;
    for (; j < cols; j += 4) {
      const o = <usize>j << 2;
      if (j + 4 <= cols) {
        const v = v128.load(xi + o), g = v128.load(dyi + o), right = gate == 0 ? splat(1) : v128.load(gi + o);
        const sg = f32x4.mul(s, g);
        if (dscale != 0 || gate != 0) {
          const a = activate(fn, v);
          total = f32x4.add(total, f32x4.mul(f32x4.mul(g, a), right));
          if (gate != 0) v128.store(dgi + o, f32x4.mul(sg, a));
        }
        v128.store(dxi + o, f32x4.mul(f32x4.mul(sg, slope(fn, v)), right));
      } else {
        for (let t = j; t < cols; t++) {
          const p = <usize>t << 2;
          const v = v128.load32_splat(xi + p), g = v128.load32_splat(dyi + p);
          const right = gate == 0 ? splat(1) : v128.load32_splat(gi + p);
          const sg = f32x4.mul(s, g), a = activate(fn, v);
          rest += f32x4.extract_lane(f32x4.mul(f32x4.mul(g, a), right), 0);
          if (gate != 0) v128.store32_lane(dgi + p, f32x4.mul(sg, a), 0);
          v128.store32_lane(dxi + p, f32x4.mul(f32x4.mul(sg, slope(fn, v)), right), 0);
        }
      }
    }
    if (dscale != 0) store<f32>(at(dscale, i, dscaleRow), sum4(total) + rest);
  }
}
