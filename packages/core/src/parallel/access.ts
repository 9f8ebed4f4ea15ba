// Which buffers an op reads and which it writes. Everything that follows from data - liveness, dependencies between streams,
// memory - asks this one table. An op that accumulates reads what it writes.

import { unreachable } from "../units/errors.ts";
import type { BufferId, Op } from "./program.ts";

export interface Access {
  readonly reads: readonly BufferId[];
  readonly writes: readonly BufferId[];
}

export function opAccess(op: Op): Access {
  switch (op.kind) {
    case "matmul": {
      const reads = [op.a, op.b];
      if (op.bias !== undefined) reads.push(op.bias);
      if (op.accumulate) reads.push(op.out);
      return { reads, writes: [op.out] };
    }
    case "groupedMatmul":
      return { reads: op.accumulate ? [op.a, op.b, op.routing, op.out] : [op.a, op.b, op.routing], writes: [op.out] };
    case "expertBias": {
      const reads = [op.x, op.bias, op.routing];
      if (op.rowScale !== undefined) reads.push(op.rowScale);
      return { reads, writes: [op.out] };
    }
    case "expertBiasBackward": {
      const reads = [op.dy, op.routing];
      if (op.weighted !== undefined) reads.push(op.weighted.bias, op.weighted.rowScale);
      if (op.accumulate) reads.push(op.dbias);
      return { reads, writes: op.weighted === undefined ? [op.dbias] : [op.dbias, op.weighted.drowScale] };
    }
    case "biasGrad":
      return { reads: op.accumulate ? [op.x, op.out] : [op.x], writes: [op.out] };
    case "norm":
      return {
        reads: op.bias === undefined ? [op.x, op.weight] : [op.x, op.weight, op.bias],
        writes: op.normed === undefined ? [op.y] : [op.y, op.normed],
      };
    case "normBackward": {
      const grads = op.dbias === undefined ? [op.dweight] : [op.dweight, op.dbias];
      const normed = op.normed === undefined ? [] : [op.normed];
      return { reads: [op.x, op.weight, op.dy, ...normed, ...(op.accumulate ? grads : [])], writes: [op.dx, ...grads] };
    }
    case "activation":
      return { reads: op.rowScale === undefined ? [op.x] : [op.x, op.rowScale], writes: [op.y] };
    case "activationBackward":
      return {
        reads: op.rowScale === undefined ? [op.x, op.dy] : [op.x, op.dy, op.rowScale],
        writes: op.drowScale === undefined ? [op.dx] : [op.dx, op.drowScale],
      };
    case "add":
    case "mul":
      return { reads: [op.a, op.b], writes: [op.out] };
    case "sigmoidGate":
      return { reads: [op.gate, op.x], writes: [op.out] };
    case "sigmoidGateBackward":
      return { reads: [op.gate, op.x, op.dy], writes: [op.dgate, op.dx] };
    case "headConcat":
      return { reads: [op.a, op.b], writes: [op.out] };
    case "headSplit":
      return { reads: [op.x], writes: [op.a, op.b] };
    case "rope":
    case "repeatHeads":
      return { reads: [op.x], writes: [op.out] };
    case "dropout":
      return { reads: [op.x], writes: [op.mask, op.y] };
    case "dropoutBackward":
      return { reads: [op.dy, op.mask], writes: [op.dx] };
    case "attention":
      return { reads: op.merge ? [op.q, op.k, op.v, op.out, op.lse] : [op.q, op.k, op.v], writes: [op.out, op.lse] };
    case "attentionBackward": {
      const reads = [op.q, op.k, op.v, op.out, op.lse, op.dout];
      if (op.accumulateQ) reads.push(op.dq);
      if (op.accumulateKv) reads.push(op.dk, op.dv);
      return { reads, writes: [op.dq, op.dk, op.dv] };
    }
    case "batchMatmul":
      return { reads: [op.a, op.b], writes: [op.out] };
    case "softmax":
      return { reads: [op.x], writes: [op.y] };
    case "softmaxBackward":
      return { reads: [op.y, op.dy], writes: [op.dx] };
    case "embedding":
      return { reads: op.positions === undefined ? [op.table] : [op.table, op.positions], writes: [op.out] };
    case "embeddingBackward": {
      const grads = op.dpositions === undefined ? [op.dtable] : [op.dtable, op.dpositions];
      return { reads: op.accumulate ? [op.dout, ...grads] : [op.dout], writes: grads };
    }
    case "logitsMax":
      return { reads: [op.logits], writes: [op.rowMax] };
    case "logitsSum":
      return { reads: [op.logits, op.rowMax], writes: [op.sums] };
    case "mergeStats":
      return { reads: [op.maxA, op.sumsA, op.maxB, op.sumsB], writes: [op.rowMax, op.sums] };
    case "loss":
      return { reads: [op.sums, op.loss], writes: [op.loss] };
    case "lossBackward":
      return { reads: [op.logits, op.rowMax, op.sums], writes: [op.dlogits] };
    case "router":
      return { reads: [op.logits], writes: [op.probs, op.gates, op.routing] };
    case "routerBackward":
      return { reads: [op.probs, op.gates, op.routing, op.dgates], writes: [op.dlogits] };
    case "permute":
      return { reads: [op.x, op.routing], writes: [op.out] };
    case "permuteBackward":
      return { reads: [op.dout, op.routing], writes: [op.dx] };
    case "combine":
      return { reads: op.gates === undefined ? [op.x, op.routing] : [op.x, op.gates, op.routing], writes: [op.out] };
    case "combineBackward":
      return op.weighted === undefined
        ? { reads: [op.dout, op.routing], writes: [op.dx] }
        : {
            reads: [op.dout, op.weighted.x, op.weighted.gates, op.routing],
            writes: [op.dx, op.weighted.dgates],
          };
    case "regroup":
      return { reads: [op.x, op.routing], writes: [op.out] };
    case "exchange":
      return { reads: [op.x, op.routing], writes: [op.out] };
    case "scan":
      return { reads: [op.x, op.perHead, op.decay, op.skip], writes: [op.y] };
    case "scanBackward": {
      const grads = [op.ddecay, op.dskip];
      return {
        reads: [op.x, op.perHead, op.decay, op.skip, op.dy, ...(op.accumulate ? grads : [])],
        writes: [op.dx, op.dperHead, ...grads],
      };
    }
    case "conv":
      return { reads: [op.x, op.weight], writes: [op.y] };
    case "convBackward":
      return {
        reads: op.accumulate ? [op.x, op.weight, op.dy, op.dweight] : [op.x, op.weight, op.dy],
        writes: [op.dx, op.dweight],
      };
    case "collective":
    case "deal":
      return { reads: op.xs, writes: op.outs };
    case "ringShift":
      return { reads: op.xs, writes: op.outs };
    case "copy":
    case "cast":
      return { reads: [op.x], writes: [op.out] };
    case "fill":
      return { reads: [], writes: [op.out] };
    case "squareSums":
      return { reads: [op.grad], writes: [op.rows, op.columns] };
    case "momentum":
      return { reads: [op.grad, op.state], writes: [op.state, op.out] };
    case "newtonSchulz":
      return { reads: [op.x], writes: [op.scratch, op.out] };
    case "gradNorm":
      return { reads: op.grads, writes: [op.out] };
    case "optimizer":
      return {
        reads: [
          ...op.grads,
          ...op.masters,
          ...op.states.flat(),
          ...(op.sums ?? []).flatMap((each) => (each === null ? [] : [each.rows, each.columns])),
        ],
        writes: [...op.masters, ...op.states.flat(), ...op.params],
      };
    default:
      return unreachable(op);
  }
}
