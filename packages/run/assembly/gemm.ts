// c (+)= op(a) op(b) in f32, for any strides. Blocks of a and b are packed so that the inner loop reads both in order: panels of 4 rows of a and of 8 columns of b, whose 4 x 8
// products are kept in registers (Goto and van de Geijn, Anatomy of High-Performance Matrix Multiplication, 2008). WASM has no fused multiply-add, so the bound is
// one multiplication and one addition of 4 lanes each a clock.

import { edgeTile, packedA, packedB } from "./scratch";

const MR: i32 = 4;
const NR: i32 = 8;
const MC: i32 = 96;
const KC: i32 = 256;
const NC: i32 = 512;

/** Element (i, l) of op(a) lies at a + i * ai + l * al, element (l, j) of op(b) at b + l * bl + j * bj, (i, j) of c at c + i * cs + j; steps in elements. */
export function gemm(
  m: i32,
  n: i32,
  k: i32,
  a: usize,
  ai: i32,
  al: i32,
  b: usize,
  bl: i32,
  bj: i32,
  c: usize,
  cs: i32,
  accumulate: bool,
): void {
  if (k == 0 && !accumulate) {
    for (let i = 0; i < m; i++) memory.fill(c + ((<usize>i * cs) << 2), 0, <usize>n << 2);
    return;
  }
  for (let l0 = 0; l0 < k; l0 += KC) {
    const kc = min(KC, k - l0);
    const adds = accumulate || l0 > 0;
    for (let j0 = 0; j0 < n; j0 += NC) {
      const nc = min(NC, n - j0);
      packB(b + ((<usize>l0 * bl + <usize>j0 * bj) << 2), bl, bj, kc, nc);
      for (let i0 = 0; i0 < m; i0 += MC) {
        const mc = min(MC, m - i0);
        packA(a + ((<usize>i0 * ai + <usize>l0 * al) << 2), ai, al, mc, kc);
        for (let j = 0; j < nc; j += NR) {
          const panelB = packedB() + ((<usize>j * kc) << 2);
          const whole = nc - j >= NR;
          for (let i = 0; i < mc; i += MR) {
            const panelA = packedA() + ((<usize>i * kc) << 2);
            const to = c + ((<usize>(i0 + i) * cs + (j0 + j)) << 2);
            if (whole && mc - i >= MR) tile(kc, panelA, panelB, to, <usize>cs << 2, adds);
            else {
              tile(kc, panelA, panelB, edgeTile(), NR << 2, false);
              copyTile(to, cs, min(MR, mc - i), min(NR, nc - j), adds);
            }
          }
        }
      }
    }
  }
}

function packA(a: usize, ai: i32, al: i32, mc: i32, kc: i32): void {
  let to = packedA();
  for (let i = 0; i < mc; i += MR) {
    const rows = min(MR, mc - i);
    let from = a + ((<usize>i * ai) << 2);
    const row = <usize>ai << 2;
    const step = <usize>al << 2;
    if (rows == MR) {
      for (let l = 0; l < kc; l++) {
        store<f32>(to, load<f32>(from));
        store<f32>(to, load<f32>(from + row), 4);
        store<f32>(to, load<f32>(from + 2 * row), 8);
        store<f32>(to, load<f32>(from + 3 * row), 12);
        from += step;
        to += 16;
      }
    } else {
      for (let l = 0; l < kc; l++) {
        for (let r = 0; r < MR; r++) store<f32>(to + (<usize>r << 2), r < rows ? load<f32>(from + <usize>r * row) : 0);
        from += step;
        to += 16;
      }
    }
  }
}

function packB(b: usize, bl: i32, bj: i32, kc: i32, nc: i32): void {
  let to = packedB();
  const step = <usize>bl << 2;
  const col = <usize>bj << 2;
  for (let j = 0; j < nc; j += NR) {
    const cols = min(NR, nc - j);
    let from = b + ((<usize>j * bj) << 2);
    if (cols == NR && bj == 1) {
      for (let l = 0; l < kc; l++) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
        from += step;
        to += 32;
      }
    } else if (cols == NR) {
      for (let l = 0; l < kc; l++) {
        store<f32>(to, load<f32>(from));
        store<f32>(to, load<f32>(from + col), 4);
        store<f32>(to, load<f32>(from + 2 * col), 8);
        store<f32>(to, load<f32>(from + 3 * col), 12);
        store<f32>(to, load<f32>(from + 4 * col), 16);
        store<f32>(to, load<f32>(from + 5 * col), 20);
        store<f32>(to, load<f32>(from + 6 * col), 24);
        store<f32>(to, load<f32>(from + 7 * col), 28);
        from += step;
        to += 32;
      }
    } else {
      for (let l = 0; l < kc; l++) {
        for (let r = 0; r < NR; r++) store<f32>(to + (<usize>r << 2), r < cols ? load<f32>(from + <usize>r * col) : 0);
        from += step;
        to += 32;
      }
    }
  }
}

/** One 4 x 8 tile of c; rows are `row` bytes apart. */
function tile(kc: i32, a: usize, b: usize, c: usize, row: usize, adds: bool): void {
  let c00 = f32x4.splat(0);
  let c01 = c00;
  let c10 = c00;
  let c11 = c00;
  let c20 = c00;
  let c21 = c00;
  let c30 = c00;
  let c31 = c00;
  for (let l = 0; l < kc; l++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(x, b0));
    c01 = f32x4.add(c01, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(x, b0));
    c11 = f32x4.add(c11, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(x, b0));
    c21 = f32x4.add(c21, f32x4.mul(x, b1));
    x = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(x, b0));
    c31 = f32x4.add(c31, f32x4.mul(x, b1));
    a += 16;
    b += 32;
  }
  if (adds) {
    c00 = f32x4.add(c00, v128.load(c));
    c01 = f32x4.add(c01, v128.load(c, 16));
    c10 = f32x4.add(c10, v128.load(c + row));
    c11 = f32x4.add(c11, v128.load(c + row, 16));
    c20 = f32x4.add(c20, v128.load(c + 2 * row));
    c21 = f32x4.add(c21, v128.load(c + 2 * row, 16));
    c30 = f32x4.add(c30, v128.load(c + 3 * row));
    c31 = f32x4.add(c31, v128.load(c + 3 * row, 16));
  }
  v128.store(c, c00);
  v128.store(c, c01, 16);
  v128.store(c + row, c10);
  v128.store(c + row, c11, 16);
  v128.store(c + 2 * row, c20);
  v128.store(c + 2 * row, c21, 16);
  v128.store(c + 3 * row, c30);
  v128.store(c + 3 * row, c31, 16);
}

function copyTile(c: usize, cs: i32, rows: i32, cols: i32, adds: bool): void {
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < cols; j++) {
      const to = c + ((<usize>i * cs + j) << 2);
      const value = load<f32>(edgeTile() + (<usize>(i * NR + j) << 2));
      store<f32>(to, adds ? load<f32>(to) + value : value);
    }
  }
}

/** Register-only multiplications and additions in twelve independent chains: what the machine can do at most. 96 floating-point operations a round. */
export function peakLoop(rounds: i32): f32 {
  const x = f32x4.splat(0.9999999);
  const y = f32x4.splat(0.0000001);
  let c0 = f32x4.splat(1);
  let c1 = f32x4.splat(2);
  let c2 = f32x4.splat(3);
  let c3 = f32x4.splat(4);
  let c4 = f32x4.splat(5);
  let c5 = f32x4.splat(6);
  let c6 = f32x4.splat(7);
  let c7 = f32x4.splat(8);
  let c8 = f32x4.splat(9);
  let c9 = f32x4.splat(10);
  let c10 = f32x4.splat(11);
  let c11 = f32x4.splat(12);
  for (let i = 0; i < rounds; i++) {
    c0 = f32x4.add(f32x4.mul(c0, x), y);
    c1 = f32x4.add(f32x4.mul(c1, x), y);
    c2 = f32x4.add(f32x4.mul(c2, x), y);
    c3 = f32x4.add(f32x4.mul(c3, x), y);
    c4 = f32x4.add(f32x4.mul(c4, x), y);
    c5 = f32x4.add(f32x4.mul(c5, x), y);
    c6 = f32x4.add(f32x4.mul(c6, x), y);
    c7 = f32x4.add(f32x4.mul(c7, x), y);
    c8 = f32x4.add(f32x4.mul(c8, x), y);
    c9 = f32x4.add(f32x4.mul(c9, x), y);
    c10 = f32x4.add(f32x4.mul(c10, x), y);
    c11 = f32x4.add(f32x4.mul(c11, x), y);
  }
  let sum = f32x4.add(c0, c1);
  sum = f32x4.add(sum, c2);
  sum = f32x4.add(sum, c3);
  sum = f32x4.add(sum, c4);
  sum = f32x4.add(sum, c5);
  sum = f32x4.add(sum, c6);
  sum = f32x4.add(sum, c7);
  sum = f32x4.add(sum, c8);
  sum = f32x4.add(sum, c9);
  sum = f32x4.add(sum, c10);
  sum = f32x4.add(sum, c11);
  return f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 3);
}
