// What an op is called in tables and traces, and which share of the waterfall its time belongs to.

import type { Axis } from "../parallel/mesh.ts";
import type { Block, BufferId, Op } from "../parallel/program.ts";

/** Compute, communication by the axis family it serves, or copies between memory tiers. */
export type OpTimeKind = "compute" | "tp" | "cp" | "ep" | "dp" | "pp" | "copy";

/** Axis family of a collective: shards and replicas of data parallelism count as dp, expert tensor parallelism and copies of kv heads as tp, tied embeddings as pp. */
export function axisTimeKind(axis: Axis): Exclude<OpTimeKind, "compute" | "copy"> {
  switch (axis) {
    case "tp":
    case "etp":
    case "kvReplica":
      return "tp";
    case "cp":
    case "cpRing":
    case "cpUlysses":
      return "cp";
    case "ep":
      return "ep";
    case "pp":
    case "embed":
    case "vocab":
      return "pp";
    case "dp":
    case "edp":
    case "shard":
    case "replicate":
    case "eshard":
    case "ereplicate":
    case "dpcp":
    case "all":
      return "dp";
  }
}

export function opTimeKind(op: Op, block: Block): OpTimeKind {
  switch (op.kind) {
    case "collective":
    case "ringShift":
    case "exchange":
      return axisTimeKind(op.axis);
    case "deal":
      return axisTimeKind(op.deal.axis);
    case "copy":
      return block.buffers[op.x]!.tier === block.buffers[op.out]!.tier ? "compute" : "copy";
    case "optimizer":
      return op.masters.some((id) => block.buffers[id]!.tier !== "hbm") ? "copy" : "compute";
    default:
      return "compute";
  }
}

/** `matmul attention.qkv`, `matmul ffn.up (input grad)`, `all-reduce tp`: stable words for one op of a block. */
export function opName(op: Op, block: Block): string {
  switch (op.kind) {
    case "matmul":
      return `matmul ${weightName(block, op.role === "weightGrad" ? op.out : op.b)}${roleSuffix(op.role)}`;
    case "groupedMatmul":
      return `grouped matmul ${weightName(block, op.role === "weightGrad" ? op.out : op.b)}${roleSuffix(op.role)}`;
    case "batchMatmul":
      return `attention ${words(op.which)}`;
    case "collective":
      return `${words(op.op)} ${op.axis}`;
    case "ringShift":
      return `ring shift ${op.axis}`;
    case "exchange":
      return `expert ${op.phase}`;
    case "copy": {
      const from = block.buffers[op.x]!.tier;
      const to = block.buffers[op.out]!.tier;
      return from === to ? "copy" : `copy ${from} to ${to}`;
    }
    case "optimizer":
      return `optimizer ${op.algorithm}`;
    case "squareSums":
      return `optimizer sums ${weightName(block, op.grad)}`;
    case "momentum":
      return `optimizer momentum ${weightName(block, op.grad)}`;
    case "newtonSchulz":
      return op.deal === null ? `newton-schulz ${weightName(block, op.out)}` : "newton-schulz";
    case "deal":
      return `deal matrices over ${op.deal.axis}`;
    default:
      return words(op.kind);
  }
}

/** The kernel of a memory-bound op, as measurements call it: its name with the function it computes. */
export function kernelName(op: Op, block: Block): string {
  const name = opName(op, block);
  switch (op.kind) {
    case "norm":
    case "normBackward":
      return `${name} ${op.norm}`;
    case "activation":
    case "activationBackward":
      return `${name} ${op.fn}${op.gated ? " gated" : ""}`;
    case "add":
      // A gradient lies where the last micro-batch left it, a residual where the op before did.
      return op.weightGrad === true ? `${name} weight grad` : name;
    default:
      return name;
  }
}

function roleSuffix(role: "forward" | "inputGrad" | "weightGrad"): string {
  return role === "forward" ? "" : role === "inputGrad" ? " (input grad)" : " (weight grad)";
}

/**
 * Name of a weight without the layer it is in (a block shared by many layers calls it `layers.*.ffn.up`), and without what the buffer is to it: its
 * gathered form (`.full`), its gradients (`.grad`, `.wgrad`), a window of its rows (`[3584]`).
 */
function weightName(block: Block, id: BufferId): string {
  const buffer = block.buffers[id]!;
  const full = buffer.param?.name ?? buffer.name;
  let short = shortNames.get(full);
  if (short === undefined) {
    short = full.replace(/^.*\*(?:\+\d+)?\./, "").replace(/(?:\.full|\.grad|\.wgrad|\[\d+\])+$/, "");
    shortNames.set(full, short);
  }
  return short;
}

/** Names of a model's buffers are few, and asked for with every op that is priced. */
const shortNames = new Map<string, string>();

/** `headsAllToAll` -> `heads all-to-all`; the field's words for collectives, spaces elsewhere. */
function words(name: string): string {
  let found = knownWords.get(name);
  if (found === undefined) {
    found = name
      .replace(/([a-z])([A-Z])/g, "$1 $2")
      .toLowerCase()
      .replace("all to all", "all-to-all")
      .replace("all reduce", "all-reduce")
      .replace("all gather", "all-gather")
      .replace("reduce scatter", "reduce-scatter");
    knownWords.set(name, found);
  }
  return found;
}

const knownWords = new Map<string, string>();
