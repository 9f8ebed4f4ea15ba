// One bucket a block: collectives of a block's parameters and gradients that are of the same kind travel together.

import type { DType } from "../../units/dtype.ts";
import type { Axis } from "../mesh.ts";
import type { BufferId, CollectiveOp } from "../program.ts";
import type { BlockBuilder } from "./builder.ts";

/** Sums over tp go first, then the data-parallel sums that read them, replicas after shards. */
const reduceOrder: readonly Axis[] = ["tp", "kvReplica", "dpcp", "edp", "shard", "eshard", "replicate", "ereplicate"];

export function joinCollective(builder: BlockBuilder, phase: "gather" | "reduce", op: CollectiveOp): void {
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

/** Shards of a parameter become its working copy. */
export function gatherInto(
  builder: BlockBuilder,
  from: BufferId,
  to: BufferId,
  axis: Axis,
  dtype: DType | undefined,
): void {
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
