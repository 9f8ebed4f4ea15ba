// The optimizer step on the device: passes over gradients, masters, states and working copies, and Muon's matrix products.

import { axisSize } from "../parallel/mesh.ts";
import {
  dealMoves,
  type MuonMatrix,
  muonMatrices,
  newtonSchulzFlops,
  ownedElements,
} from "../parallel/muonMatrices.ts";
import type { Block, DealOp, NewtonSchulzOp, OptimizerOp } from "../parallel/program.ts";
import { dtypeBytes } from "../units/dtype.ts";
import { gemm } from "./matrixWork.ts";
import { bufferOf, network, ownBytes } from "./opBytes.ts";
import type { OpContext, OpWork } from "./opContext.ts";

/**
 * Unfused AdamW, list by list (PyTorch `foreach`): decay 2, lerp 3, scale 2, addcmul 3, sqrt 2, divide 2, add eps 2, addcdiv 4 = 20 passes over
 * parameter-sized tensors in 8 kernels, against 7 (r p g m v, w p m v) in one.
 */
const FOREACH_PASSES = 20 / 7;
const FOREACH_KERNELS = 8;

/** A step along Muon's directions: decay 2, add 3, against 3 (r p o, w p) in one. */
const DIRECTION_PASSES = 5 / 3;
const DIRECTION_KERNELS = 2;

/** @param sizeBytes one pass over everything read and written. */
export function optimizerWork(op: OptimizerOp, context: OpContext, sizeBytes: number): OpWork {
  const [inPasses, inKernels] =
    op.algorithm === "muon" ? [DIRECTION_PASSES, DIRECTION_KERNELS] : [FOREACH_PASSES, FOREACH_KERNELS];
  const passes = context.software.fusedOptimizer ? 1 : inPasses;
  const numKernels = context.software.fusedOptimizer ? 1 : inKernels;
  const query = {
    kind: "memory",
    sizeBytes: sizeBytes * passes,
    numKernels,
    access: "stream",
    kernel: `optimizer ${op.algorithm}`,
  } as const;
  return { queries: [{ query, times: 1 }], numLaunches: numKernels, workFlops: 0, sizeBytes: query.sizeBytes };
}

/**
 * Per matrix: its norm and the scaled copy (3 passes), the result written out (2), and for each step three products, with their sums in the kernels:
 * X X^T, its square, and that times X (K. Jordan, "Muon", 2024). Of dealt matrices those of the rank that has most to do.
 */
export function newtonSchulzWork(op: NewtonSchulzOp, block: Block, context: OpContext): OpWork {
  const { dtype } = bufferOf(block, op.x);
  const matrices = fullestShare(op, context);
  const byShape = new Map<string, { readonly small: number; readonly large: number; count: number }>();
  let workFlops = 0;
  for (const matrix of matrices) {
    const [small, large] = [Math.min(matrix.rows, matrix.columns), Math.max(matrix.rows, matrix.columns)];
    const shape = byShape.get(`${small} ${large}`) ?? { small, large, count: 0 };
    byShape.set(`${small} ${large}`, { ...shape, count: shape.count + 1 });
    workFlops += newtonSchulzFlops(matrix, op.steps);
  }
  const queries: { query: OpWork["queries"][number]["query"]; times: number }[] = [];
  for (const { small, large, count } of byShape.values()) {
    const product = (n: number, k: number) =>
      gemm({ m: small, n, k, batch: 1, compute: dtype, layout: "NN", accumulate: false, outDtype: dtype });
    for (const [n, k] of [
      [small, large],
      [small, small],
      [large, small],
    ] as const)
      queries.push({ query: product(n, k), times: op.steps * count });
  }
  const sizeBytes = 3 * ownBytes(block, op.x) + 2 * ownBytes(block, op.out);
  const numKernels = memoryKernels * matrices.length;
  queries.push({ query: { kind: "memory", sizeBytes, numKernels, access: "stream" }, times: 1 });
  return { queries, numLaunches: matrices.length * (3 * op.steps + memoryKernels), workFlops, sizeBytes };
}

/** Norm, scaled copy, result. */
const memoryKernels = 3;

function fullestShare({ slices, deal, steps }: NewtonSchulzOp, { mesh }: OpContext): readonly MuonMatrix[] {
  const all = slices.map((slice) => muonMatrices(slice, mesh));
  if (deal === null) return all.flat();
  const shares: MuonMatrix[][] = Array.from({ length: axisSize(mesh, deal.axis) }, () => []);
  for (const [p, matrices] of all.entries())
    for (const [m, matrix] of matrices.entries()) shares[deal.owners[p]![m]!]!.push(matrix);
  const flops = (share: readonly MuonMatrix[]) =>
    share.reduce((sum, matrix) => sum + newtonSchulzFlops(matrix, steps), 0);
  return shares.reduce((most, share) => (flops(share) > flops(most) ? share : most));
}

/** An all-to-all in which the fullest rank sends or takes most. */
export function dealWork(op: DealOp, block: Block, context: OpContext): OpWork {
  const sent = Array.from({ length: axisSize(context.mesh, op.deal.axis) }, () => 0);
  for (const { shardRank, length } of dealMoves(op.slices, context.mesh, op.deal)) sent[shardRank]! += length;
  const owned = ownedElements(op.slices, context.mesh, op.deal);
  const sizeBytes = Math.max(...sent, ...owned) * dtypeBytes(bufferOf(block, op.xs[0]!).dtype);
  const spans = context.spans(op.deal.axis);
  return network(
    { kind: "collective", op: "allToAll", sizeBytes, spans, algorithm: "auto", backend: "nccl" },
    sizeBytes,
  );
}
