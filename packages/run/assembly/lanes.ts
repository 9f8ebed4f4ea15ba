// What kernels on four lanes are made of: rows of matrices given as (pointer, stride in elements), and arithmetic on one vector.

import { expv } from "./exp";

@inline
export function splat(x: f32): v128 {
  return f32x4.splat(x);
}

/** Address of a row. */
@inline
export function at(base: usize, row: i32, stride: i32): usize {
  return base + ((<usize>row * <usize>stride) << 2);
}

@inline
export function sum4(v: v128): f32 {
  return f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1) + f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3);
}

@inline
export function sigmoid4(x: v128): v128 {
  return f32x4.div(splat(1), f32x4.add(splat(1), expv(f32x4.neg(x))));
}

/** a b + c */
@inline
export function mulAdd(a: v128, b: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(a, b), splat(c));
}
