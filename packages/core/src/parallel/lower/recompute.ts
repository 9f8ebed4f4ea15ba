// Recompute as a transform: ops that forward need not have kept are run again at the start of backward. Which buffers are stashed then
// follows from liveness: what recompute writes again dies in forward (arXiv 1604.06174; selective: arXiv 2205.05198, section 5).

import { opAccess } from "../access.ts";
import type { Block, BufferId, Op } from "../program.ts";
import type { Recompute, RecomputeModule } from "../strategy.ts";

/**
 * @param modules modules each forward op lies in, aligned with block.forward.
 * @param stopsEarly full recompute runs only as far as backward needs (Software.recomputeStopsEarly).
 */
export function recomputeForward(
  block: Block,
  modules: readonly (readonly RecomputeModule[])[],
  recompute: Recompute,
  stopsEarly: boolean,
): Block {
  // An activation that one kernel with its multiplication computes is not kept by itself; backward's kernel computes it again.
  const joined = block.forward.map((op, i) => {
    const next = block.forward[i + 1];
    return op.kind === "activation" && !op.gated && next?.kind === "mul" && next.fused === true;
  });
  switch (recompute.kind) {
    case "none":
      return { ...block, recompute: needed(block, joined).map((op) => ({ ...op, fused: true })) };
    case "full": {
      // Reentrant checkpointing runs the whole forward again, its last op included.
      if (!stopsEarly) return { ...block, recompute: block.forward };
      const last = needed(
        block,
        block.forward.map(() => true),
      ).at(-1);
      return { ...block, recompute: last === undefined ? [] : block.forward.slice(0, block.forward.indexOf(last) + 1) };
    }
    case "selective": {
      const wanted = new Set<RecomputeModule>(recompute.modules);
      const marked = block.forward.map((_, i) => joined[i]! || modules[i]!.some((module) => wanted.has(module)));
      return keepAttentionOutput(block, needed(block, marked));
    }
    case "ops": {
      // torchtitan's policy: keep attention, communication and every second matmul; compute the rest again where backward needs it.
      let matmuls = 0;
      const again = block.forward.map((op) => {
        if (op.kind === "attention" || op.kind === "collective" || op.kind === "exchange" || op.kind === "ringShift")
          return false;
        if (op.kind === "matmul" || op.kind === "groupedMatmul") {
          matmuls += 1;
          return matmuls % 2 === 0;
        }
        return true;
      });
      return { ...block, recompute: needed(block, again) };
    }
  }
}

/**
 * A checkpointed attention core keeps its output (the projection's input) and computes it again only as a by-product: the second result goes
 * to scratch. Norms, activations and up-projections discard theirs and write it again (Megatron-Core's CheckpointWithoutOutput).
 */
function keepAttentionOutput(block: Block, recompute: readonly Op[]): Block {
  const buffers = [...block.buffers];
  const scratchOf = new Map<BufferId, BufferId>();
  const scratch = (id: BufferId): BufferId => {
    let copy = scratchOf.get(id);
    if (copy === undefined) {
      copy = buffers.push({ ...buffers[id]!, name: `${buffers[id]!.name}.again` }) - 1;
      scratchOf.set(id, copy);
    }
    return copy;
  };
  const again = recompute.map((op): Op => {
    if (op.kind === "attention") return { ...op, out: scratch(op.out) };
    if (op.kind === "batchMatmul" && op.which === "context") return { ...op, out: scratch(op.out) };
    if (op.kind === "collective" && op.op === "headsAllToAll" && op.direction === "toTokens")
      return { ...op, xs: op.xs.map((id) => scratchOf.get(id) ?? id), outs: op.outs.map(scratch) };
    return op;
  });
  return { ...block, buffers, recompute: again };
}

/**
 * Of the forward ops marked, those whose results backward reads, directly or through other marked ops; in forward order. What an unmarked op
 * rewrites in place (a sum over tp of the product before it) is kept from forward: its first, unfinished value must not come back.
 */
function needed(block: Block, marked: readonly boolean[]): Op[] {
  const base = (id: BufferId): BufferId => {
    const view = block.buffers[id]!.view;
    return view === undefined ? id : view.of;
  };
  const kept = new Set<BufferId>();
  block.forward.forEach((op, i) => {
    if (marked[i] !== true) for (const id of opAccess(op).writes) kept.add(base(id));
  });
  const wanted = new Set<BufferId>();
  for (const op of block.backward) for (const id of opAccess(op).reads) wanted.add(base(id));
  const chosen: Op[] = [];
  for (let i = block.forward.length - 1; i >= 0; i--) {
    if (marked[i] !== true) continue;
    const op = block.forward[i]!;
    const { reads, writes } = opAccess(op);
    if (!writes.some((id) => wanted.has(base(id)) && !kept.has(base(id)))) continue;
    chosen.push(op);
    for (const id of reads) wanted.add(base(id));
  }
  return chosen.reverse();
}
