// Adafactor's part of a matrix (arXiv 1804.04235): second moments as means of squares over its rows and over its columns. Each rank sums the squares of what it
// holds by row and by column of its slice; the sums of shards and of tensor-parallel slices, a few thousand numbers, are added up; then every rank holds the
// moments of its slice's rows and columns and updates its own elements. Each expert is a matrix of its own, a fused parameter one matrix.
//
// The update phase of a block: sums of all its matrices, one all-reduce for each axis, copies of offloaded ones, the optimizer.

import { type Axis, axisSize } from "../mesh.ts";
import type { BufferId, CollectiveOp, Op, ParamSlice, SquareSumsOp } from "../program.ts";
import type { BlockBuilder } from "./builder.ts";
import { replicatedFrom } from "./gradients.ts";

/** Sums of one matrix parameter on a rank: by row and by column. */
export interface Factors {
  readonly rows: BufferId;
  readonly columns: BufferId;
}

/** Slices of the vectors that a matrix's moments are: by row, by column. They have its name and its experts. */
export function factorSlices(
  slice: ParamSlice,
  axisRanks: number,
): { readonly rows: ParamSlice; readonly columns: ParamSlice } {
  const split = slice.axis !== null;
  const rows = { ...slice, columns: 1, init: "zeros" as const };
  const columns = { ...rows, segments: [{ rows: slice.columns, parts: split && slice.dim === 1 ? axisRanks : 1 }] };
  return {
    rows:
      slice.dim === 0
        ? rows
        : { ...rows, axis: null, dim: 0, segments: rows.segments.map((each) => ({ ...each, parts: 1 })) },
    columns: split && slice.dim === 1 ? { ...columns, dim: 0 } : { ...columns, axis: null, dim: 0 },
  };
}

/** Shapes of a rank's moments for a slice of [experts?, rows, columns]. */
export function factorShapes(sliceShape: readonly number[]): { readonly rows: number[]; readonly columns: number[] } {
  const experts = sliceShape.slice(0, -2);
  return { rows: [...experts, sliceShape.at(-2)!], columns: [...experts, sliceShape.at(-1)!] };
}

/** Emits the sums of a matrix. @param grad the reduced gradient: the slice, or its shard over `shardAxis`. */
export function declareFactors(
  builder: BlockBuilder,
  at: {
    readonly slice: ParamSlice;
    readonly sliceShape: readonly number[];
    readonly grad: BufferId;
    readonly shardAxis: Axis | null;
  },
): Factors {
  const { mesh } = builder.context;
  const { slice, sliceShape, grad, shardAxis } = at;
  const shapes = factorShapes(sliceShape);
  const slices = factorSlices(slice, slice.axis === null ? 1 : axisSize(mesh, slice.axis));
  const made = (which: "rows" | "columns"): BufferId =>
    builder.buffer({
      name: `${slice.name}.${which}`,
      shape: shapes[which],
      dtype: "fp32",
      kind: "workspace",
      scope: "micro",
      param: slices[which],
    });
  const factors: Factors = { rows: made("rows"), columns: made("columns") };
  const from = replicatedFrom(mesh, slice);
  const tail = from === null ? {} : { tail: { fromRow: from, weight: 1 / axisSize(mesh, "kvReplica") } };
  const sums: SquareSumsOp = { kind: "squareSums", stream: "compute", grad, ...factors, ...tail };
  builder.update.push(sums);
  if (shardAxis !== null) addUp(builder, shardAxis, [factors.rows, factors.columns]);
  if (slice.axis !== null && axisSize(mesh, slice.axis) > 1)
    addUp(builder, slice.axis, [slice.dim === 0 ? factors.columns : factors.rows]);
  return factors;
}

/** Sums of a block's matrices over one axis travel together. */
function addUp(builder: BlockBuilder, axis: Axis, ids: readonly BufferId[]): void {
  const { update } = builder;
  const at = update.findIndex((op) => op.kind === "collective" && op.axis === axis);
  const none: CollectiveOp = {
    kind: "collective",
    op: "allReduce",
    reduce: "sum",
    axis,
    xs: [],
    outs: [],
    dim: "flat",
    stream: "compute",
  };
  const before = at < 0 ? none : (update[at] as CollectiveOp);
  const joined = { ...before, xs: [...before.xs, ...ids], outs: [...before.outs, ...ids] };
  if (at < 0) update.push(joined);
  else update[at] = joined;
}

/** The update phase in its order, whatever order parameters were declared in. */
export function inUpdateOrder(ops: readonly Op[]): Op[] {
  const place = (op: Op): number => {
    switch (op.kind) {
      case "squareSums":
        return 0;
      case "collective":
        return op.axis === "shard" || op.axis === "eshard" ? 1 : 2;
      case "copy":
        return 3;
      default:
        return 4;
    }
  };
  return [...ops].sort((a, b) => place(a) - place(b));
}
