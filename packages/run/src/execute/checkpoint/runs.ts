// Where the elements of a fragment lie in the global tensor: runs of equal length at a constant distance, in the fragment's order. A slice of whole rows is
// one run, a slice of columns one run for all its rows, whatever the tensor's size; a ZeRO shard cuts runs and leaves at most two more.

import { assert, axisSize, coordinateAlong, type Mesh, type ParamSlice } from "@meshwright/core";

/** `count` pieces of `length` elements, the k-th at start + k x stride of the row-major global tensor. */
export interface Run {
  readonly start: number;
  readonly length: number;
  readonly count: number;
  readonly stride: number;
}

export function numElements(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + run.length * run.count, 0);
}

/** What a rank's slice of a parameter is of the global tensor, in the order of sliceIndices (reference/slices.ts). */
export function sliceRuns(slice: ParamSlice, mesh: Mesh, rank: number): Run[] {
  const axisRanks = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
  const coordinate = slice.axis === null ? 0 : coordinateAlong(mesh, rank, slice.axis);
  const columnParts = slice.axis !== null && slice.dim === 1 ? axisRanks : 1;
  const columns = slice.columns / columnParts;
  const firstColumn = columnParts > 1 ? coordinate * columns : 0;
  const globalRows = slice.segments.reduce((sum, segment) => sum + segment.rows, 0);
  const localExperts = slice.experts === null ? 1 : slice.experts / mesh.ep;
  const firstExpert = slice.experts === null ? 0 : coordinateAlong(mesh, rank, "ep") * localExperts;
  const runs: Run[] = [];
  for (let expert = firstExpert; expert < firstExpert + localExperts; expert++) {
    let from = 0;
    for (const segment of slice.segments) {
      const split = slice.axis !== null && slice.dim === 0;
      const parts = split ? segment.parts : 1;
      const part = split ? Math.floor((coordinate * parts) / axisRanks) : 0;
      const rows = segment.rows / parts;
      const start = (expert * globalRows + from + part * rows) * slice.columns + firstColumn;
      if (columns === slice.columns) runs.push({ start, length: rows * columns, count: 1, stride: 0 });
      else runs.push({ start, length: columns, count: rows, stride: slice.columns });
      from += segment.rows;
    }
  }
  return joined(runs.filter((run) => run.length * run.count > 0));
}

/** Elements [from, from + length) of what the runs list; it may reach beyond their end, where padding lies. */
export function cutRuns(runs: readonly Run[], from: number, length: number): Run[] {
  const out: Run[] = [];
  let at = 0;
  for (const run of runs) {
    const size = run.length * run.count;
    const [first, last] = [Math.max(from - at, 0), Math.min(from + length - at, size)];
    at += size;
    if (first >= last) continue;
    const [headRow, tailRow] = [Math.floor(first / run.length), Math.floor(last / run.length)];
    const piece = (row: number, begin: number, end: number): Run => ({
      start: run.start + row * run.stride + begin,
      length: end - begin,
      count: 1,
      stride: 0,
    });
    const [headBegin, tailEnd] = [first - headRow * run.length, last - tailRow * run.length];
    if (headRow === tailRow) {
      out.push(piece(headRow, headBegin, tailEnd));
      continue;
    }
    const firstWhole = headBegin === 0 ? headRow : headRow + 1;
    if (headBegin > 0) out.push(piece(headRow, headBegin, run.length));
    const count = tailRow - firstWhole;
    if (count > 0)
      out.push({
        start: run.start + firstWhole * run.stride,
        length: run.length,
        count,
        stride: count > 1 ? run.stride : 0,
      });
    if (tailEnd > 0) out.push(piece(tailRow, 0, tailEnd));
  }
  return joined(out);
}

/** Runs that follow one another without a gap become one. */
function joined(runs: readonly Run[]): Run[] {
  const out: Run[] = [];
  for (const run of runs) {
    const last = out.at(-1);
    if (last !== undefined && last.count === 1 && run.count === 1 && last.start + last.length === run.start)
      out[out.length - 1] = { ...last, length: last.length + run.length };
    else out.push(run.count === 1 ? { ...run, stride: 0 } : run);
  }
  return out;
}

/** Writes a fragment into the global tensor. */
export function scatter(fragment: Float32Array, runs: readonly Run[], global: Float32Array): void {
  assert(fragment.length === numElements(runs), `${fragment.length} elements fill runs of ${numElements(runs)}`);
  let at = 0;
  for (const { start, length, count, stride } of runs) {
    for (let k = 0; k < count; k++) {
      global.set(fragment.subarray(at, at + length), start + k * stride);
      at += length;
    }
  }
}

/** Reads a fragment out of the global tensor; elements of `fragment` beyond the runs stay. */
export function gather(global: Float32Array, runs: readonly Run[], fragment: Float32Array): void {
  let at = 0;
  for (const { start, length, count, stride } of runs) {
    for (let k = 0; k < count; k++) {
      fragment.set(global.subarray(start + k * stride, start + k * stride + length), at);
      at += length;
    }
  }
}

/** Whether runs of several fragments name every element of a tensor of `size`, copies allowed. */
export function coverAll(fragments: readonly (readonly Run[])[], size: number): boolean {
  const seen = new Uint8Array(size);
  for (const runs of fragments)
    for (const { start, length, count, stride } of runs)
      for (let k = 0; k < count; k++) seen.fill(1, start + k * stride, start + k * stride + length);
  return !seen.includes(0);
}
