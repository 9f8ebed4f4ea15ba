// Blocks that run once a step, outside the pipeline: the sum of gradients of token tables that several ranks hold, and the norm of all gradients.

import { axisSize, type Mesh } from "../mesh.ts";
import type { Block } from "../program.ts";
import { embeddingBlock } from "./blocks.ts";
import type { Context } from "./context.ts";

/** A block's phases, none of which has an op. */
const nothing = {
  inputs: [],
  outputs: [],
  gradInputs: [],
  gradOutputs: [],
  gather: [],
  forward: [],
  recompute: [],
  backward: [],
  reduce: [],
  update: [],
} as const satisfies Omit<Block, "name" | "buffers">;

/** Global gradient norm: each rank's partial sum, added over all ranks. */
export function gradNormTail(mesh: Mesh): Block | null {
  if (axisSize(mesh, "all") === 1) return null;
  return {
    ...nothing,
    name: "tail",
    buffers: [
      {
        name: "gradNorm",
        shape: [1],
        dtype: "fp32",
        kind: "workspace",
        scope: "persistent",
        tier: "hbm",
        shared: true,
      },
    ],
    update: [
      {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: "all",
        xs: [0],
        outs: [0],
        dim: "flat",
        stream: "compute",
      },
    ],
  };
}

/** Sum of the token table's gradient over the pipeline ranks that hold a copy each. */
export function embeddingSync(context: Context): Block {
  const owner = embeddingBlock(context, { decoder: false, shared: false });
  const grads = owner.buffers.filter(
    (buffer) =>
      buffer.kind === "gradient" &&
      buffer.scope === "persistent" &&
      buffer.tier === "hbm" &&
      buffer.param?.name === "embedding.table",
  );
  const reduced = grads.find((buffer) => buffer.view?.kind === "shard") ?? grads[0]!; // every table has a persistent gradient
  const whole = owner.buffers.find((buffer) => buffer.name === "embedding.table.grad")!;
  const buffers =
    reduced.view === undefined
      ? [{ ...reduced, shared: true }]
      : [
          { ...whole, shared: true },
          { ...reduced, view: { kind: "shard" as const, of: 0, axis: "shard" as const } },
        ];
  const id = buffers.length - 1;
  return {
    ...nothing,
    name: "embeddingSync",
    buffers,
    reduce: [
      {
        kind: "collective",
        op: "allReduce",
        reduce: "sum",
        axis: "embed",
        xs: [id],
        outs: [id],
        dim: "flat",
        stream: "dp",
      },
    ],
  };
}
