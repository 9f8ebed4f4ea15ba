// Global parameters and the slices ranks hold of them: initial values as a pure function of (name, index), cutting, and putting
// gradients together again while checking that copies agree.

import { assert, axisSize, coordinateAlong, type Mesh, type ParamSlice } from "@meshwright/core";
import { hashUnit } from "./hash.ts";

export function globalSize(slice: ParamSlice): number {
  const rows = slice.segments.reduce((sum, segment) => sum + segment.rows, 0);
  return rows * slice.columns * (slice.experts ?? 1);
}

/** Initial value of element `index` of a global tensor. Ones and zeros get noise too: a gradient through exact zeros proves little. */
export function initialValue(name: string, index: number, slice: Pick<ParamSlice, "init" | "columns">): number {
  const noise = 2 * hashUnit(`parameter ${name}`, index) - 1;
  switch (slice.init) {
    case "ones":
      return 1 + 0.2 * noise;
    case "zeros":
      return 0.2 * noise;
    case "normal":
      return noise * (slice.columns > 1 ? Math.sqrt(3 / slice.columns) : 0.5);
  }
}

/** For each element of a rank's slice (row-major) its index in the global tensor. */
export function sliceIndices(slice: ParamSlice, mesh: Mesh, rank: number): Int32Array {
  const axisRanks = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
  const coordinate = slice.axis === null ? 0 : coordinateAlong(mesh, rank, slice.axis);
  const globalRows = slice.segments.reduce((sum, segment) => sum + segment.rows, 0);
  const rows: number[] = [];
  let from = 0;
  for (const segment of slice.segments) {
    const split = slice.axis !== null && slice.dim === 0;
    const parts = split ? segment.parts : 1;
    const part = split ? Math.floor((coordinate * parts) / axisRanks) : 0;
    assert(
      segment.rows % parts === 0 && axisRanks % parts === 0,
      `${slice.name}: ${segment.rows} rows in ${parts} parts over ${axisRanks} ranks`,
    );
    const length = segment.rows / parts;
    for (let i = 0; i < length; i++) rows.push(from + part * length + i);
    from += segment.rows;
  }
  const columnParts = slice.axis !== null && slice.dim === 1 ? axisRanks : 1;
  const columns = slice.columns / columnParts;
  const firstColumn = columnParts > 1 ? coordinate * columns : 0;
  const localExperts = slice.experts === null ? 1 : slice.experts / mesh.ep;
  const firstExpert = slice.experts === null ? 0 : coordinateAlong(mesh, rank, "ep") * localExperts;
  const indices = new Int32Array(localExperts * rows.length * columns);
  let next = 0;
  for (let e = 0; e < localExperts; e++) {
    for (const row of rows) {
      const start = ((firstExpert + e) * globalRows + row) * slice.columns + firstColumn;
      for (let j = 0; j < columns; j++) indices[next++] = start + j;
    }
  }
  return indices;
}

/** Where a buffer of `length` elements that belongs to `slice` starts within the rank's slice: 0, or its shard's offset. */
export function shardOffset(slice: ParamSlice, mesh: Mesh, rank: number, length: number, sliceLength: number): number {
  if (length === sliceLength) return 0;
  const axis = slice.experts === null ? "shard" : "eshard";
  assert(
    length === Math.ceil(sliceLength / axisSize(mesh, axis)),
    `${slice.name}: ${length} elements are the slice of ${sliceLength} or a shard of it`,
  );
  return coordinateAlong(mesh, rank, axis) * length;
}

/** A global tensor being put together from slices; elements two ranks hold must agree. */
export class Assembly {
  readonly values: Float64Array;
  private readonly filled: Uint8Array;
  private readonly name: string;
  private readonly tolerance: number;

  /** @param tolerance how far copies of an element may differ, relative to their size. */
  constructor(name: string, size: number, tolerance: number) {
    this.name = name;
    this.tolerance = tolerance;
    this.values = new Float64Array(size);
    this.filled = new Uint8Array(size);
  }

  put(index: number, value: number, rank: number): void {
    if (this.filled[index] === 1) {
      const before = this.values[index]!;
      const scale = Math.max(Math.abs(before), Math.abs(value), 1e-3);
      assert(
        Math.abs(before - value) <= this.tolerance * scale,
        `copies of ${this.name}[${index}] agree: ${before} elsewhere, ${value} on rank ${rank}`,
      );
      return;
    }
    this.values[index] = value;
    this.filled[index] = 1;
  }

  finish(): Float64Array {
    const missing = this.filled.indexOf(0);
    assert(missing < 0, `every element of ${this.name} lies on some rank, not [${missing}]`);
    return this.values;
  }
}
