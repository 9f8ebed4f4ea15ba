// The gradient of a parameter: where it is accumulated, and how the ranks that saw other tokens, rows or heads add theirs. Sharded gradients (zero2, zero3)
// are made anew for each micro-batch, or add up over a run of them, and only the rank's shard persists; others persist whole and are reduced once a step.

import type { DType } from "../../units/dtype.ts";
import { assert } from "../../units/errors.ts";
import { type Axis, axisSize, type Mesh } from "../mesh.ts";
import type { BufferDecl, BufferId, ParamSlice } from "../program.ts";
import { joinCollective } from "./buckets.ts";
import type { BlockBuilder, Param } from "./builder.ts";
import type { ParamRequest } from "./parameters.ts";

/** A parameter whose working copy is declared. */
export interface Placed {
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

export function declareGradient(
  builder: BlockBuilder,
  request: ParamRequest,
  slice: ParamSlice,
  placed: Placed,
): Param {
  const { context } = builder;
  const { strategy, software, mesh } = context;
  const { expert, shardAxis, sharded, persistent } = placed;
  const fullAxis: Axis = expert ? "edp" : "dpcp";
  const replicateAxis: Axis = expert ? "ereplicate" : "replicate";
  const replicas = axisSize(mesh, replicateAxis);
  const sharesGradients = sharded && (strategy.sharding === "zero2" || strategy.sharding === "zero3");
  const fresh = sharesGradients && strategy.reduceGradients !== "run";
  const gradName = `${request.name}.grad`;
  const wire = software.gradReduceDtype === software.gradDtype ? undefined : software.gradReduceDtype;
  let grad: BufferId;
  let reduced: BufferId;
  const reduce = (op: "allReduce" | "reduceScatter", axis: Axis, x: BufferId, out: BufferId, wire?: DType): void =>
    joinCollective(builder, "reduce", {
      kind: "collective",
      op,
      reduce: "sum",
      axis,
      xs: [x],
      outs: [out],
      dim: "flat",
      stream: "dp",
      ...(wire === undefined ? {} : { wire }),
    });
  const sumOverTp = (id: BufferId): void => {
    if (request.tpPartial === true && mesh.tp > 1) reduce("allReduce", "tp", id, id);
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
    reduce("allReduce", "kvReplica", rows, rows);
  };
  /** The shard in which gradients add up, and what is scattered to it at a time. */
  const declareShard = () => ({
    whole: persistent(".grad", placed.shardShape, software.gradDtype, "gradient"),
    part: builder.buffer({
      name: `${gradName}.part`,
      shape: placed.shardShape,
      dtype: software.gradReduceDtype,
      kind: "workspace",
      scope: "micro",
      param: slice,
    }),
  });
  const addToShard = ({ whole, part }: ReturnType<typeof declareShard>, sent: BufferId, format?: DType): void => {
    reduce("reduceScatter", shardAxis, sent, part, format);
    if (replicas > 1) reduce("allReduce", replicateAxis, part, part, format);
    builder.reduceAdds.push({ kind: "add", stream: "dp", a: whole, b: part, out: whole });
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
    const shard = declareShard();
    reduced = shard.whole;
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
    addToShard(shard, sent, software.gradReduceDtype);
  } else if (sharesGradients) {
    // Added up in the format they are reduced in (torch fully_shard, unsharded_accumulated_grad), so nothing is cast on the way.
    grad = builder.buffer({
      name: `${gradName}.run`,
      shape: placed.shape,
      dtype: software.gradReduceDtype,
      kind: "gradient",
      scope: "run",
      param: slice,
    });
    sumOverTp(grad);
    const shard = declareShard();
    reduced = shard.whole;
    if (software.packsGrads !== undefined)
      builder.reduceCasts.push({ kind: "copy", stream: "compute", x: grad, out: grad });
    addToShard(shard, grad);
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
      reduce("reduceScatter", shardAxis, grad, reduced, wire);
      if (replicas > 1) reduce("allReduce", replicateAxis, reduced, reduced, wire);
    } else if (axisSize(mesh, fullAxis) > 1) {
      reduce("allReduce", fullAxis, grad, grad, wire);
    }
  }
  builder.reducedGrads.set(request.name, reduced);
  const param: Param = { id: placed.id, grad, gradFresh: fresh, slice, expert };
  builder.params.push(param);
  return param;
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
