// What the interpreter has to know of an op before it runs it, worked out once for each op of a block: buffers that it may have to make, and sums of the step that it touches.

import { type Block, type BufferId, baseOf, type Op, opAccess } from "@meshwright/core";

export interface OpPlan {
  /** Base buffers that the op writes and that do not outlive a step; what is added to starts at zero. */
  readonly made: readonly { readonly id: BufferId; readonly content: "zero" | "undefined" }[];
  /** Base buffers that it touches and in which a step adds up: gradients, losses. */
  readonly sums: readonly BufferId[];
  /** The op as it runs on a sum that has nothing in it yet: it writes what it would add. Null where there is no such op. */
  readonly first: Op | null;
}

const known = new WeakMap<Block, Map<Op, OpPlan>>();

export function opPlan(block: Block, op: Op): OpPlan {
  let ofBlock = known.get(block);
  if (ofBlock === undefined) {
    ofBlock = new Map();
    known.set(block, ofBlock);
  }
  let plan = ofBlock.get(op);
  if (plan === undefined) {
    plan = planOf(block, op);
    ofBlock.set(op, plan);
  }
  return plan;
}

/** Whether a step adds up in the buffer, so that it begins at zero. */
export function isSum(block: Block, id: BufferId): boolean {
  const { kind, scope, view } = block.buffers[id]!;
  return (kind === "gradient" || kind === "activation") && scope === "persistent" && view === undefined;
}

function planOf(block: Block, op: Op): OpPlan {
  const { reads, writes } = opAccess(op);
  const read = new Set(reads.map((id) => baseOf(block, id)));
  const written = new Set(writes.map((id) => baseOf(block, id)));
  const sums = [...new Set([...read, ...written])].filter((id) => isSum(block, id));
  return {
    made: [...written]
      .filter((id) => block.buffers[id]!.scope !== "persistent")
      .map((id) => ({ id, content: read.has(id) ? "zero" : "undefined" })),
    sums,
    first: sums.length === 1 ? writing(op, sums[0]!) : null,
  };
}

/** @param sum the only one that the op touches. */
function writing(op: Op, sum: BufferId): Op | null {
  switch (op.kind) {
    case "add":
      return op.a === sum && op.out === sum && op.b !== sum
        ? { kind: "copy", stream: op.stream, x: op.b, out: sum }
        : null;
    case "matmul":
      return op.out === sum && op.accumulate && op.a !== sum && op.b !== sum ? { ...op, accumulate: false } : null;
    case "biasGrad":
      return op.out === sum && op.accumulate ? { ...op, accumulate: false } : null;
    default:
      return null;
  }
}

const phases = new WeakMap<Block, UpdatePhases>();

export interface UpdatePhases {
  readonly gradNorm: readonly Op[];
  /** What brings the optimizer its gradients, and its step. */
  readonly optimizer: readonly Op[];
}

/** The two halves of a block's update, between which ranks learn the norm of all gradients. */
export function updatePhases(block: Block): UpdatePhases {
  let found = phases.get(block);
  if (found === undefined) {
    found = {
      gradNorm: block.update.filter((op) => op.kind === "gradNorm"),
      optimizer: block.update.filter((op) => op.kind !== "gradNorm"),
    };
    phases.set(block, found);
  }
  return found;
}
