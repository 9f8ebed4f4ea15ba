// What a timeline says about one op beside its time: shape, FLOPs, bytes, and where its duration comes from. Texts are made for timelines
// alone; pricing and search never ask.

import type { PricedOp } from "../cost/priceOps.ts";
import { opAccess } from "../parallel/access.ts";
import type { Block, BufferId, Op, Program } from "../parallel/program.ts";

/** Facts of an op as arguments of its spans: `shape`, `workFlops`, `sizeBytes`, `source`, `relStd` (one standard deviation of the duration, relative). */
export type OpFacts = Readonly<Record<string, string | number>>;

/** Facts of each op of a program, or of a piece of it, made once: spans of one op share them. */
export function opFactsOf(program: Program): (priced: PricedOp, partFrac: number) => OpFacts {
  const blockOf = new Map<Op, Block>();
  const extra = [program.tail, program.embeddingSync].filter((block) => block !== null);
  for (const block of [...program.blocks, ...extra]) {
    for (const phase of ["gather", "forward", "recompute", "backward", "reduce", "update"] as const)
      for (const op of block[phase]) blockOf.set(op, block);
  }
  const known = new Map<PricedOp, Map<number, OpFacts>>();
  return (priced, partFrac) => {
    const ofOp = known.get(priced) ?? new Map<number, OpFacts>();
    known.set(priced, ofOp);
    let facts = ofOp.get(partFrac);
    if (facts === undefined) {
      const block = blockOf.get(priced.op);
      facts = {
        ...(block === undefined ? {} : { shape: opShape(priced.op, block) }),
        ...(Math.abs(partFrac - 1) < 1e-6 ? {} : { part: `${(partFrac * 100).toFixed(0)} % of the op` }),
        workFlops: priced.workFlops * partFrac,
        sizeBytes: priced.sizeBytes * partFrac,
        source: priced.source,
        relStd: priced.relStd,
      };
      ofOp.set(partFrac, facts);
    }
    return facts;
  };
}

/** `8192 x 2048 x 8192 bf16` (rows, columns, summed dim) of a product; heads and lengths of an attention; what goes in and comes out of the rest. */
export function opShape(op: Op, block: Block): string {
  const shape = (id: BufferId) => block.buffers[id]!.shape;
  const text = (id: BufferId) => `${shape(id).join(" x ")} ${block.buffers[id]!.dtype}`;
  switch (op.kind) {
    case "matmul": {
      const [rows = 1, columns = 1] = shape(op.out);
      const a = shape(op.a);
      return `${rows} x ${columns} x ${a[op.transA ? 0 : 1] ?? 1} ${op.compute}`;
    }
    case "groupedMatmul":
      return `${text(op.a)}, ${text(op.b)} in ${op.compute}`;
    case "attention":
    case "attentionBackward": {
      const { heads, kvHeads, headDim, causal, window, layout } = op.geometry;
      const span = window > 0 ? `window ${window}` : causal ? "causal" : "full";
      return `${shape(op.q)[0] ?? 0} rows of ${layout.seqLen} tokens, ${heads} heads x ${headDim}, ${kvHeads} kv heads, ${span}`;
    }
    case "collective":
    case "ringShift":
      return op.xs.length === 1
        ? `${text(op.xs[0]!)} -> ${text(op.outs[0]!)}`
        : `${op.xs.length} tensors, the first ${text(op.xs[0]!)}`;
    case "deal":
      return `${op.deal.owners.flat().length} matrices of ${op.slices.length} parameters`;
    case "newtonSchulz":
      return `${text(op.x)}, ${op.steps} steps`;
    case "optimizer":
      return `${op.masters.length} tensors, the first ${op.masters.length === 0 ? "" : text(op.masters[0]!)}`;
    default: {
      const { reads, writes } = opAccess(op);
      const [from, to] = [reads[0], writes[0]];
      if (to === undefined) return from === undefined ? "" : text(from);
      if (from === undefined || from === to || text(from) === text(to)) return text(to);
      return `${text(from)} -> ${text(to)}`;
    }
  }
}
