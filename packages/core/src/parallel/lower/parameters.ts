// Parameters, and everything that follows a parameter through the step: its gradient, optimizer state, and the collectives that
// keep copies equal. This file is where ZeRO, FSDP, HSDP and Megatron's distributed optimizer live:
//
//   none   working copy, gradient, state whole on every rank; gradients all-reduced.
//   zero1  working copy and gradient whole; gradient reduce-scattered into the rank's shard of the same memory, state and master
//          sharded, the updated shard all-gathered into the working copy (arXiv 1910.02054 P_os; Megatron's distributed optimizer).
//   zero2  as zero1, but only the rank's shard of the gradient persists (P_os+g).
//   zero3  only shards persist; the working copy is gathered before use (P_os+g+p, FSDP).
// Sharding is over `shard` (experts: `eshard`); what is left of data parallelism, `replicate`, all-reduces the shards (HSDP, MiCS).

import { type DType, dtypeBytes } from "../../units/dtype.ts";
import { assert } from "../../units/errors.ts";
import { type Axis, axisSize, type Mesh } from "../mesh.ts";
import type { BufferDecl, BufferId, CollectiveOp, OptimizerOp, ParamSlice } from "../program.ts";
import type { BlockBuilder, Param } from "./builder.ts";
import type { Context } from "./context.ts";

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
    });
  return param;
}

function gatherInto(builder: BlockBuilder, from: BufferId, to: BufferId, axis: Axis, dtype: DType | undefined): void {
  const wire = dtype === undefined ? {} : { wire: dtype };
  joinCollective(builder, "gather", {
    kind: "collective",
    op: "allGather",
    reduce: "sum",
    axis,
    xs: [from],
    outs: [to],
    dim: "flat",
    stream: "dp",
    ...wire,
  });
}

/**
 * One bucket a block: collectives of the same kind travel together. Sums over tp go first, then the data-parallel sums that read them,
 * replicas after shards.
 */
const reduceOrder: readonly Axis[] = ["tp", "kvReplica", "dpcp", "edp", "shard", "eshard", "replicate", "ereplicate"];

function joinCollective(builder: BlockBuilder, phase: "gather" | "reduce", op: CollectiveOp): void {
  const list = builder[phase];
  const apart = builder.context.software.collectivesPerTensor === true && op.axis !== "tp" && op.axis !== "kvReplica";
  const at = list.findIndex(
    (other) => other.kind === "collective" && other.op === op.op && other.axis === op.axis && other.wire === op.wire,
  );
  if (at < 0 || apart) {
    list.push(op);
    list.sort((a, b) => reduceOrder.indexOf((a as CollectiveOp).axis) - reduceOrder.indexOf((b as CollectiveOp).axis));
    return;
  }
  const other = list[at] as CollectiveOp;
  list[at] = { ...other, xs: [...other.xs, ...op.xs], outs: [...other.outs, ...op.outs] };
}

/**
 * First row of the rank's slice that neighbouring tp ranks hold too (keys and values, which come last, where kv heads are fewer than tp); null when every
 * row is its own.
 */
export function replicatedFrom(mesh: Mesh, slice: ParamSlice): number | null {
  if (slice.axis !== "tp" || slice.dim !== 0) return null;
  const first = slice.segments.findIndex((segment) => segment.parts < mesh.tp);
  if (first < 0) return null;
  assert(
    slice.segments.slice(first).every((segment) => segment.parts * axisSize(mesh, "kvReplica") === mesh.tp),
    `the last segments of ${slice.name} are those that ${axisSize(mesh, "kvReplica")} neighbours share`,
  );
  return slice.segments.slice(0, first).reduce((sum, segment) => sum + segment.rows / segment.parts, 0);
}

interface Placed {
  readonly id: BufferId;
  readonly shape: readonly number[];
  readonly shardShape: readonly number[];
  readonly shardAxis: Axis;
  readonly sharded: boolean;
  readonly expert: boolean;
  readonly persistent: (
    name: string,
    dims: readonly number[],
    dtype: DType,
    kind: BufferDecl["kind"],
    extra?: Partial<BufferDecl>,
  ) => BufferId;
}

function declareGradient(builder: BlockBuilder, request: ParamRequest, slice: ParamSlice, placed: Placed): Param {
  const { context } = builder;
  const { strategy, software, mesh } = context;
  const { expert, shardAxis, sharded, persistent } = placed;
  const fullAxis: Axis = expert ? "edp" : "dpcp";
  const replicateAxis: Axis = expert ? "ereplicate" : "replicate";
  const replicas = axisSize(mesh, replicateAxis);
  const fresh = sharded && (strategy.sharding === "zero2" || strategy.sharding === "zero3");
  const gradName = `${request.name}.grad`;
  const wire = software.gradReduceDtype === software.gradDtype ? {} : { wire: software.gradReduceDtype };
  let grad: BufferId;
  let reduced: BufferId;
  const sumOver = (axis: Axis, id: BufferId): void =>
    joinCollective(builder, "reduce", {
      kind: "collective",
      op: "allReduce",
      reduce: "sum",
      axis,
      xs: [id],
      outs: [id],
      dim: "flat",
      stream: "dp",
    });
  const sumOverTp = (id: BufferId): void => {
    if (request.tpPartial === true && mesh.tp > 1) sumOver("tp", id);
    const from = replicatedFrom(mesh, slice);
    if (from === null) return;
    // Each of the ranks that hold a key-value head saw other query heads.
    const base = builder.buffers[id]!;
    const shape = [base.shape[0]! - from, ...base.shape.slice(1)]; // a matrix or a vector of rows
    const rows = builder.buffer({
      name: `${base.name}.kv`,
      shape,
      dtype: base.dtype,
      kind: base.kind,
      scope: base.scope,
      param: slice,
      view: { kind: "rows", of: id, from },
    });
    sumOver("kvReplica", rows);
  };
  if (fresh) {
    grad = builder.buffer({
      name: `${gradName}.full`,
      shape: placed.shape,
      dtype: context.actDtype,
      kind: "gradient",
      scope: "micro",
      param: slice,
    });
    sumOverTp(grad);
    reduced = persistent(".grad", placed.shardShape, software.gradDtype, "gradient");
    const part = builder.buffer({
      name: `${gradName}.part`,
      shape: placed.shardShape,
      dtype: software.gradReduceDtype,
      kind: "workspace",
      scope: "micro",
      param: slice,
    });
    // FSDP casts the whole gradient to the format it reduces in (torch/distributed/fsdp/_runtime_utils.py, _post_backward_hook).
    let sent = grad;
    const casts = software.gradReduceDtype !== context.actDtype;
    if (software.packsGrads === "copy" || (software.packsGrads === "cast" && !casts))
      builder.reduceCasts.push({ kind: "copy", stream: "compute", x: grad, out: grad });
    if (casts) {
      sent = builder.buffer({
        name: `${gradName}.wire`,
        shape: placed.shape,
        dtype: software.gradReduceDtype,
        kind: "workspace",
        scope: "micro",
        param: slice,
      });
      builder.reduceCasts.push({
        kind: "cast",
        stream: software.packsGrads === "cast" ? "compute" : "dp",
        x: grad,
        out: sent,
      });
    }
    joinCollective(builder, "reduce", {
      kind: "collective",
      op: "reduceScatter",
      reduce: "sum",
      axis: shardAxis,
      xs: [sent],
      outs: [part],
      dim: "flat",
      stream: "dp",
      wire: software.gradReduceDtype,
    });
    if (replicas > 1)
      joinCollective(builder, "reduce", {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: replicateAxis,
        xs: [part],
        outs: [part],
        dim: "flat",
        stream: "dp",
        wire: software.gradReduceDtype,
      });
    builder.reduceAdds.push({ kind: "add", stream: "dp", a: reduced, b: part, out: reduced });
  } else {
    grad = persistent(".grad", placed.shape, software.gradDtype, "gradient");
    reduced = grad;
    if (request.shared !== true) sumOverTp(grad);
    if (request.shared === true) {
      // The owning block use reduces after both have accumulated.
    } else if (sharded) {
      reduced = builder.buffer({
        name: `${gradName}.own`,
        shape: placed.shardShape,
        dtype: software.gradDtype,
        kind: "gradient",
        scope: "persistent",
        param: slice,
        view: { kind: "shard", of: grad, axis: shardAxis },
      });
      joinCollective(builder, "reduce", {
        kind: "collective",
        op: "reduceScatter",
        reduce: "sum",
        axis: shardAxis,
        xs: [grad],
        outs: [reduced],
        dim: "flat",
        stream: "dp",
        ...wire,
      });
      if (replicas > 1)
        joinCollective(builder, "reduce", {
          kind: "collective",
          op: "allReduce",
          reduce: "sum",
          axis: replicateAxis,
          xs: [reduced],
          outs: [reduced],
          dim: "flat",
          stream: "dp",
          ...wire,
        });
    } else if (axisSize(mesh, fullAxis) > 1) {
      joinCollective(builder, "reduce", {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: fullAxis,
        xs: [grad],
        outs: [grad],
        dim: "flat",
        stream: "dp",
        ...wire,
      });
    }
  }
  builder.reducedGrads.set(request.name, reduced);
  const param: Param = { id: placed.id, grad, gradFresh: fresh, slice, expert };
  builder.params.push(param);
  return param;
}

interface UpdateSite {
  readonly source: BufferId;
  readonly dims: readonly number[];
  readonly hostTier: Partial<BufferDecl>;
  readonly persistent: Placed["persistent"];
}

/** State tensors per optimizer, as shapes of the (sharded) parameter. Adafactor keeps row and column sums (arXiv 1804.04235); Muon one momentum. */
function stateShapes(context: Context, slice: ParamSlice, dims: readonly number[]): (readonly number[])[] {
  switch (context.strategy.optimizer) {
    case "adamw":
      return [dims, dims];
    case "sgd":
    case "muon":
      return [dims];
    case "adafactor": {
      const elements = dims.reduce((a, b) => a * b, 1);
      const columns = slice.columns;
      return columns === 1 ? [dims] : [[Math.ceil(elements / columns)], [Math.min(columns, elements)]];
    }
  }
}

function declareUpdate(builder: BlockBuilder, request: ParamRequest, param: Param, site: UpdateSite): void {
  const { context } = builder;
  const { software } = context;
  const reduced = builder.reducedGrads.get(request.name);
  assert(reduced !== undefined, `${request.name} has a reduced gradient`);
  const working = builder.buffers[site.source]!;
  const needsMaster = software.masterWeights && software.updatesWorkingParams !== true && working.dtype !== "fp32";
  const master = needsMaster ? site.persistent(".master", site.dims, "fp32", "optimizer", site.hostTier) : site.source;
  const states = stateShapes(context, param.slice, site.dims).map((dims, i) =>
    site.persistent(`.state${i}`, dims, software.optimizerStateDtype, "optimizer", site.hostTier),
  );
  let grad = reduced;
  if (site.hostTier.tier === "host") {
    grad = builder.buffer({
      name: `${request.name}.grad.host`,
      shape: site.dims,
      dtype: software.gradDtype,
      kind: "gradient",
      scope: "persistent",
      tier: "host",
      param: param.slice,
    });
    builder.update.push({ kind: "copy", stream: "copy", x: reduced, out: grad });
  }
  const op: OptimizerOp = {
    kind: "optimizer",
    stream: site.hostTier.tier === "host" ? "copy" : "compute",
    algorithm: context.strategy.optimizer,
    grads: [grad],
    masters: [master],
    states: [states],
    params: [site.source],
  };
  const at = builder.update.findIndex((other) => other.kind === "optimizer");
  if (at < 0 || site.hostTier.tier === "host") builder.update.push(op);
  else {
    const other = builder.update[at] as OptimizerOp;
    builder.update[at] = {
      ...other,
      grads: [...other.grads, grad],
      masters: [...other.masters, master],
      states: [...other.states, states],
      params: [...other.params, site.source],
    };
  }
}
