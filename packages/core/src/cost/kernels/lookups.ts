// log(measured / physics) of each family of tables at a query: which slice, which inner position, which neighbours when the slice is new.

import type { DecodeAttentionQuery, FusedMoeQuery } from "../types.ts";
import { type AxisPosition, type Blend, type GridTable, locate, SMOOTH_BLEND } from "./gridTable.ts";
import type { MixedShape } from "./mixedModel.ts";
import { routingExponent } from "./moeModel.ts";

/** Distances from `wanted` to every slice of a table: weighted L1 in log2 of (coordinate + 1). Scratch array, reused. */
function sliceDistances(table: GridTable, wanted: readonly number[], weights: readonly number[]): Float64Array {
  let logs = sliceLogs.get(table);
  const width = wanted.length;
  if (logs === undefined) {
    logs = new Float64Array(table.slices.length * width);
    table.slices.forEach((slice, row) => {
      for (let i = 0; i < width; i++) (logs as Float64Array)[row * width + i] = Math.log2((slice[i] as number) + 1);
    });
    sliceLogs.set(table, logs);
  }
  const distances = new Float64Array(table.slices.length);
  const target = wanted.map((value) => Math.log2(value + 1));
  for (let row = 0; row < distances.length; row++) {
    let sum = 0;
    for (let i = 0; i < width; i++)
      sum += (weights[i] as number) * Math.abs((logs[row * width + i] as number) - (target[i] as number));
    distances[row] = sum;
  }
  return distances;
}
const sliceLogs = new WeakMap<GridTable, Float64Array>();

/** Sorted n and k of a table whose slices are a full n x k grid, or undefined. */
interface OuterGrid {
  readonly ns: readonly number[];
  readonly ks: readonly number[];
}
const outerGrids = new WeakMap<GridTable, OuterGrid | null>();

function outerGrid(table: GridTable): OuterGrid | null {
  let grid = outerGrids.get(table);
  if (grid === undefined) {
    const ns = [...new Set(table.slices.map((slice) => slice[0] as number))].sort((a, b) => a - b);
    const ks = [...new Set(table.slices.map((slice) => slice[1] as number))].sort((a, b) => a - b);
    grid =
      table.slices[0]?.length === 2 && table.slices.length > 0.8 * ns.length * ks.length && ns.length > 8
        ? { ns, ks }
        : null;
    outerGrids.set(table, grid);
  }
  return grid;
}

/** Rows of 8 and more take aligned kernels; grids hold both aligned nodes and nodes one past them. */
function alignedNode(node: number): boolean {
  return node % 8 === 0 || node < 8;
}

/** Slice coordinates of a product: old benchmarks timed each operand layout on its own. */
function gemmSlice(table: GridTable, n: number, k: number, layoutIndex: number): readonly number[] {
  return table.slices[0]?.length === 3 ? [n, k, layoutIndex] : [n, k];
}

/** Whether the table measured this (n, k), or a full grid around it. */
export function coversGemm(table: GridTable, n: number, k: number, layoutIndex: number): boolean {
  return outerGrid(table) !== null || table.findSlice(gemmSlice(table, n, k, layoutIndex)) >= 0;
}

/** log2 distance over which a sparse table's knowledge of a slice fades to its mean. */
const FADE = 3;

export function gemmResidual(table: GridTable, m: number, n: number, k: number, layoutIndex: number): number {
  const nodes = table.packed.axes[0] as readonly number[];
  const position = [locate(nodes, m, m % 8 === 0 ? alignedNode : undefined)];
  const slice = gemmSlice(table, n, k, layoutIndex);
  const exact = table.findSlice(slice);
  if (exact >= 0) return table.at(exact, position);
  const grid = outerGrid(table);
  if (grid === null) {
    const nearest = table.nearest(slice, () => sliceDistances(table, slice, [1, 1, 1]));
    const known = Math.exp(-nearest.distance / FADE);
    return known * table.blend(nearest, position) + (1 - known) * table.mean;
  }
  const alongN = locate(grid.ns, n);
  const alongK = locate(grid.ks, k);
  let sum = 0;
  let weights = 0;
  for (const [nIndex, nWeight] of [
    [alongN.low, 1 - alongN.frac],
    [alongN.high, alongN.frac],
  ] as const) {
    for (const [kIndex, kWeight] of [
      [alongK.low, 1 - alongK.frac],
      [alongK.high, alongK.frac],
    ] as const) {
      const weight = nWeight * kWeight;
      if (weight === 0) continue;
      const corner = table.findSlice([grid.ns[nIndex] as number, grid.ks[kIndex] as number]);
      if (corner < 0) continue;
      sum += weight * table.at(corner, position);
      weights += weight;
    }
  }
  return weights > 0
    ? sum / weights
    : table.blend(
        table.nearest(slice, () => sliceDistances(table, slice, [1, 1])),
        position,
      );
}

/** How a table of training kernels is read between its shapes. */
export interface TrainLookup {
  /** How strongly a step apart in log2 of each coordinate counts. */
  readonly weights: readonly number[];
  readonly blend: Blend;
}

/**
 * Products were timed once each, some at the power limit and some before it, so that neighbours of 0.1 to 0.6 ms scatter by 15-20 %: more of them are averaged
 * than of a smooth table (held-out rows decide; 6 to 12 neighbours and powers of 1.2 to 2 are alike).
 */
const SCATTERED_BLEND: Blend = { count: 8, power: 1.5 };

export const TRAIN_LOOKUPS = {
  /** m, n, k, layout, accumulate, fp32 output. Sessions differ more than layouts do. */
  gemm: { weights: [0.5, 1, 1, 0.5, 0.5, 0.5], blend: SCATTERED_BLEND },
  /** groups, rows of a group, n, k, layout, fp32 output. */
  grouped: { weights: [0.7, 1, 1, 1, 4, 4], blend: SMOOTH_BLEND },
  /** backward, tokens, heads, kv heads (both over the batch), head width. */
  attention: { weights: [8, 0.5, 1, 0.3, 2], blend: SMOOTH_BLEND },
} as const satisfies Record<string, TrainLookup>;

/** Residual of a table whose every measurement is a slice of its own; fades to the table's mean away from all of them. */
export function trainResidual(
  table: GridTable,
  coordinates: readonly number[],
  { weights, blend }: TrainLookup,
): number {
  const position = [{ low: 0, high: 0, frac: 0 }];
  const exact = table.findSlice(coordinates);
  if (exact >= 0) return table.at(exact, position);
  const nearest = table.nearest(coordinates, () => sliceDistances(table, coordinates, weights), blend);
  const known = Math.exp(-nearest.distance / FADE);
  return known * table.blend(nearest, position) + (1 - known) * table.mean;
}

function sliceOr(
  table: GridTable,
  coordinates: readonly number[],
  weights: readonly number[],
  positions: readonly AxisPosition[],
): number {
  const exact = table.findSlice(coordinates);
  if (exact >= 0) return table.at(exact, positions);
  return table.blend(
    table.nearest(coordinates, () => sliceDistances(table, coordinates, weights)),
    positions,
  );
}

export interface HeadLayout {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly window: number;
}

export function attentionResidual(table: GridTable, layout: HeadLayout, batch: number, length: number): number {
  const positions = [
    locate(table.packed.axes[0] as readonly number[], batch),
    locate(table.packed.axes[1] as readonly number[], length),
  ];
  return headSlice(table, layout, length, [1, 0.5, 2, 0.5], positions);
}

export function decodeResidual(table: GridTable, query: DecodeAttentionQuery): number {
  const positions = [
    locate(table.packed.axes[0] as readonly number[], query.batch),
    locate(table.packed.axes[1] as readonly number[], query.kvLen),
  ];
  return headSlice(table, query, query.kvLen, [0.6, 1, 2, 0.5], positions);
}

/** A window longer than the sequence is no window, unless the table measured just that. */
function headSlice(
  table: GridTable,
  layout: HeadLayout,
  length: number,
  weights: readonly number[],
  positions: readonly AxisPosition[],
): number {
  const { heads, kvHeads, headDim, window } = layout;
  const exact = table.findSlice([heads, kvHeads, headDim, window]);
  if (exact >= 0) return table.at(exact, positions);
  return sliceOr(table, [heads, kvHeads, headDim, window < length ? window : 0], weights, positions);
}

export function mlaResidual(table: GridTable, batch: number, length: number, heads: number): number {
  const positions = [
    locate(table.packed.axes[0] as readonly number[], batch),
    locate(table.packed.axes[1] as readonly number[], length),
  ];
  return sliceOr(table, [heads], [1], positions);
}

/** Another layer is read at the tokens that give its experts as many rows: what a kernel does depends on the rows of a tile, not on those of the batch. */
export function moeResidual(table: GridTable, query: FusedMoeQuery): number {
  const axis = table.packed.axes[0] as readonly number[];
  const exponent = routingExponent(query.routing);
  const wanted = [query.hidden, query.inter, query.topk, query.experts, query.moeTp, query.moeEp, exponent];
  const exact = table.findSlice(wanted);
  if (exact >= 0) return table.at(exact, [locate(axis, query.tokens)]);
  const rowsPerExpert = (query.tokens * query.topk) / query.experts;
  const { indices, weights } = table.nearest(wanted, () => sliceDistances(table, wanted, MOE_SLICE_WEIGHTS));
  let sum = 0;
  indices.forEach((index, i) => {
    const [, , topk, experts] = table.slices[index] as readonly number[] as [number, number, number, number];
    sum += (weights[i] as number) * table.at(index, [locate(axis, (rowsPerExpert * experts) / topk)]);
  });
  return sum;
}
/** Of hidden, inter, top-k, experts, tensor and expert parallelism, routing exponent. */
const MOE_SLICE_WEIGHTS: readonly number[] = [1, 0.7, 0.7, 1, 0.7, 1, 1];

/** Slices [chunk, prefix], axes number of decodes and their cache length. */
export function mixedResidual(table: GridTable, shape: MixedShape): number {
  const [decodes, lengths] = table.packed.axes as readonly [readonly number[], readonly number[]];
  return sliceOr(
    table,
    [shape.chunk, shape.prefix],
    [1, 0.5],
    [locate(decodes, shape.numDecodes), locate(lengths, shape.kvLen)],
  );
}

/** Slices [op, width], one axis of tokens. */
export function elementwiseResidual(
  table: GridTable,
  opIndex: number,
  query: { readonly tokens: number; readonly width: number },
): number {
  return sliceOr(
    table,
    [opIndex, query.width],
    [8, 1],
    [locate(table.packed.axes[0] as readonly number[], query.tokens)],
  );
}
