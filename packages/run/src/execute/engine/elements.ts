// A matrix's elements as a view, for code that moves whole tensors.

import { assert } from "@meshwright/core";
import type { Mat } from "../../reference/kernels/mat.ts";

export function isContiguous(m: Mat): boolean {
  return m.stride === m.cols || m.rows <= 1;
}

/** The elements of a contiguous matrix, in place. */
export function elementsIn(m: Mat): Float32Array {
  assert(isContiguous(m), `a view of ${m.rows} x ${m.cols} with stride ${m.stride} is contiguous`);
  assert(m.data instanceof Float32Array, "ranks compute in f32");
  return m.data.subarray(m.offset, m.offset + m.rows * m.cols);
}
