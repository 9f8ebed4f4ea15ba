// Parameters, and everything that follows a parameter through the step: its gradient (gradients.ts), optimizer state (updates.ts), and the collectives that
// keep copies equal (buckets.ts). These files are where ZeRO, FSDP, HSDP and Megatron's distributed optimizer live:
//
//   none   working copy, gradient, state whole on every rank; gradients all-reduced.
//   zero1  working copy and gradient whole; gradient reduce-scattered into the rank's shard of the same memory, state and master
//          sharded, the updated shard all-gathered into the working copy (arXiv 1910.02054 P_os; Megatron's distributed optimizer).
//   zero2  as zero1, but only the rank's shard of the gradient persists (P_os+g).
//   zero3  only shards persist; the working copy is gathered before use (P_os+g+p, FSDP).
// Sharding is over `shard` (experts: `eshard`); what is left of data parallelism, `replicate`, all-reduces the shards (HSDP, MiCS).

import { type DType, dtypeBytes } from "../../units/dtype.ts";
import { assert } from "../../units/errors.ts";
import { type Axis, axisSize } from "../mesh.ts";
import type { BufferDecl, BufferId, ParamSlice } from "../program.ts";
import { gatherInto } from "./buckets.ts";
import type { BlockBuilder, Param } from "./builder.ts";
import type { Context } from "./context.ts";
import { declareGradient } from "./gradients.ts";
import { declareUpdate } from "./updates.ts";

export interface ParamRequest {
  readonly name: string;
  readonly segments: ParamSlice["segments"];
  readonly columns: number;
  readonly axis: Axis | null;
  readonly dim: 0 | 1;
  readonly experts?: number;
  readonly init?: ParamSlice["init"];
  /** Every tp rank sees other rows or heads through this replicated parameter: its gradients are summed over tp. */
  readonly tpPartial?: boolean;
  /** Never multiplied in low precision, so it is gathered in the activations' format where others travel in 8 bits. */
  readonly exact?: boolean;
  /** Not the matrix of a linear map (tables, convolutions): Muon leaves it to AdamW. */
  readonly elementwise?: boolean;
  /** Second holder of a tied table on the same pipeline rank. */
  readonly shared?: boolean;
}

/** Elements of the rank's slice, as a shape. Vectors have one column-free dim: [rows]. */
function sliceShape(context: Context, request: ParamRequest): number[] {
  const rows = request.segments.reduce(
    (sum, segment) => sum + (request.axis !== null && request.dim === 0 ? segment.rows / segment.parts : segment.rows),
    0,
  );
  const parts = request.axis !== null && request.dim === 1 ? axisSize(context.mesh, request.axis) : 1;
  const columns = request.columns / parts;
  assert(Number.isInteger(rows) && Number.isInteger(columns), `${request.name} splits evenly: ${rows} x ${columns}`);
  const matrix = request.columns === 1 ? [rows] : [rows, columns];
  return request.experts === undefined ? matrix : [request.experts / context.mesh.ep, ...matrix];
}

/** Shards shorter than this many ranks' worth stay whole in real systems too; here every tensor is sharded, padded to the axis size. */
function shardElements(numElements: number, axisRanks: number): number {
  return Math.ceil(numElements / axisRanks);
}

export function declareParam(builder: BlockBuilder, request: ParamRequest): Param {
  const { context } = builder;
  const { strategy, software, mesh } = context;
  const expert = request.experts !== undefined;
  const slice: ParamSlice = {
    name: request.name,
    segments: request.segments,
    columns: request.columns,
    axis: request.axis,
    dim: request.dim,
    experts: request.experts ?? null,
    init: request.init ?? "normal",
  };
  const shape = sliceShape(context, request);
  const numElements = shape.reduce((a, b) => a * b, 1);
  const shardAxis: Axis = expert ? "eshard" : "shard";
  const shardRanks = axisSize(mesh, shardAxis);
  const shared = request.shared === true ? { shared: true } : {};
  const persistent = (
    name: string,
    dims: readonly number[],
    dtype: DType,
    kind: BufferDecl["kind"],
    extra: Partial<BufferDecl> = {},
  ): BufferId =>
    builder.buffer({
      name: `${request.name}${name}`,
      shape: dims,
      dtype,
      kind,
      scope: "persistent",
      param: slice,
      ...shared,
      ...extra,
    });
  const shardShape = [shardElements(numElements, shardRanks)];
  const sharded = strategy.sharding !== "none" && shardRanks > 1;
  const narrow = dtypeBytes(software.gatherDtype) < dtypeBytes(context.actDtype);
  const gatherDtype = request.exact === true && narrow ? context.actDtype : software.gatherDtype;
  const hostTier = strategy.offloadOptimizer ? ({ tier: "host" } as const) : {};

  // Working copy.
  let id: BufferId;
  let source: BufferId | null = null; // what the optimizer writes and gathers read
  if (strategy.sharding === "zero3" && sharded) {
    id = builder.buffer({
      name: `${request.name}.full`,
      shape,
      dtype: gatherDtype,
      kind: "workspace",
      scope: "gathered",
      param: slice,
    });
    source = persistent("", shardShape, software.masterWeights ? context.actDtype : "fp32", "parameter");
  } else {
    id = persistent(
      "",
      shape,
      software.masterWeights || context.actDtype === "fp32" ? context.actDtype : "fp32",
      "parameter",
    );
    if (sharded)
      source = builder.buffer({
        name: `${request.name}.own`,
        shape: shardShape,
        dtype: builder.buffers[id]!.dtype,
        kind: "parameter",
        scope: "persistent",
        param: slice,
        view: { kind: "shard", of: id, axis: shardAxis },
      });
  }
  const param = declareGradient(builder, request, slice, {
    id,
    shape,
    shardShape,
    shardAxis,
    sharded,
    expert,
    persistent,
  });
  if (!sharded || strategy.sharding !== "zero3") {
    if (source !== null && request.shared !== true) gatherInto(builder, source, id, shardAxis, undefined);
  } else {
    assert(source !== null, "zero3 keeps a shard");
    gatherInto(builder, source, id, shardAxis, gatherDtype);
    if (software.unpacksGathered === true) builder.unpacks.push({ kind: "copy", stream: "compute", x: id, out: id });
  }
  if (request.shared !== true)
    declareUpdate(builder, request, param, {
      source: source ?? id,
      dims: sharded ? shardShape : shape,
      hostTier,
      persistent,
      shardAxis: sharded ? shardAxis : null,
    });
  return param;
}

/** The output projection of a branch: `hidden` rows, columns split over tp. Its bias is whole on every rank, added once. */
export function declareOutput(
  builder: BlockBuilder,
  request: { readonly name: string; readonly columns: number; readonly bias: boolean },
): { readonly weight: Param; readonly bias?: Param } {
  const segments = [{ rows: builder.context.model.hidden, parts: 1 }];
  const weight = declareParam(builder, { name: request.name, segments, columns: request.columns, axis: "tp", dim: 1 });
  if (!request.bias) return { weight };
  const bias = declareParam(builder, {
    name: `${request.name}.bias`,
    segments,
    columns: 1,
    axis: null,
    dim: 0,
    init: "zeros",
  });
  return { weight, bias };
}
