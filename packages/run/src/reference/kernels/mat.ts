// The reference's only value: an f64 matrix, possibly a window of another one's columns. A tensor of more dims is the matrix
// [product of all dims but the last, last]; a vector is one row. Rows may differ from the declared shape where routing decides them.

import { assert } from "@meshwright/core";

export interface Mat {
  readonly data: Float64Array | Float32Array;
  readonly rows: number;
  readonly cols: number;
  /** Elements between starts of rows, and where the first row starts. */
  readonly stride: number;
  readonly offset: number;
}

export function mat(rows: number, cols: number): Mat {
  return { data: new Float64Array(rows * cols), rows, cols, stride: cols, offset: 0 };
}

export function matFrom(rows: number, cols: number, fill: (row: number, col: number) => number): Mat {
  const m = mat(rows, cols);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) m.data[i * cols + j] = fill(i, j);
  return m;
}

/** Columns [from, from + cols) of m, sharing its memory. */
export function columnsOf(m: Mat, from: number, cols: number): Mat {
  assert(from + cols <= m.cols, `columns ${from}..${from + cols} lie within ${m.cols}`);
  return { data: m.data, rows: m.rows, cols, stride: m.stride, offset: m.offset + from };
}

/** Rows [from, from + rows) of m, sharing its memory. */
export function rowsOf(m: Mat, from: number, rows: number): Mat {
  assert(from + rows <= m.rows, `rows ${from}..${from + rows} lie within ${m.rows}`);
  return { data: m.data, rows, cols: m.cols, stride: m.stride, offset: m.offset + from * m.stride };
}

export function at(m: Mat, row: number, col: number): number {
  return m.data[m.offset + row * m.stride + col]!;
}

export function set(m: Mat, row: number, col: number, value: number): void {
  m.data[m.offset + row * m.stride + col] = value;
}

export function add(m: Mat, row: number, col: number, value: number): void {
  m.data[m.offset + row * m.stride + col]! += value;
}

/** All elements in row-major order, as a fresh array. */
export function flatten(m: Mat): Float64Array {
  const { rows, cols, stride, offset, data } = m;
  const flat = new Float64Array(rows * cols);
  if (stride === cols) {
    flat.set(data.subarray(offset, offset + rows * cols));
    return flat;
  }
  for (let i = 0; i < rows; i++) flat.set(data.subarray(offset + i * stride, offset + i * stride + cols), i * cols);
  return flat;
}

/** Writes row-major elements into m; a longer `flat` (zero padding) is allowed. */
export function unflatten(flat: Float64Array, m: Mat): void {
  const { rows, cols, stride, offset, data } = m;
  assert(flat.length >= rows * cols, `${flat.length} elements fill ${rows} x ${cols}`);
  if (stride === cols) data.set(flat.length === rows * cols ? flat : flat.subarray(0, rows * cols), offset);
  else for (let i = 0; i < rows; i++) data.set(flat.subarray(i * cols, (i + 1) * cols), offset + i * stride);
}

/** out = x, elementwise over equal shapes. */
export function copyInto(x: Mat, out: Mat): void {
  const { rows, cols } = x;
  assert(rows === out.rows && cols === out.cols, `copy ${rows} x ${cols} into ${out.rows} x ${out.cols}`);
  if (x.stride === cols && out.stride === cols) {
    out.data.set(x.data.subarray(x.offset, x.offset + rows * cols), out.offset);
    return;
  }
  for (let i = 0; i < rows; i++) {
    const from = x.offset + i * x.stride;
    out.data.set(x.data.subarray(from, from + cols), out.offset + i * out.stride);
  }
}

export function clear(m: Mat): void {
  const { rows, cols, stride, offset, data } = m;
  if (stride === cols) data.fill(0, offset, offset + rows * cols);
  else for (let i = 0; i < rows; i++) data.fill(0, offset + i * stride, offset + i * stride + cols);
}
