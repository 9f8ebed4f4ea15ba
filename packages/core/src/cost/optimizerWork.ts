// The optimizer step on the device: passes over gradients, masters, states and working copies, and Muon's matrix products.

import { muonMatrices } from "../parallel/muonMatrices.ts";
import type { Block, NewtonSchulzOp, OptimizerOp } from "../parallel/program.ts";
import { assert } from "../units/errors.ts";
import { gemm } from "./matrixWork.ts";
import { bufferOf, ownBytes } from "./opBytes.ts";
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
  const query = { kind: "memory", sizeBytes: sizeBytes * passes, numKernels, access: "stream" } as const;
  return { queries: [{ query, times: 1 }], numLaunches: numKernels, workFlops: 0, sizeBytes: query.sizeBytes };
}

/**
 * Per matrix: its norm and the scaled copy (3 passes), the result written out (2), and for each step three products, with their sums in the kernels:
 * X X^T, its square, and that times X (K. Jordan, "Muon", 2024).
 */
export function newtonSchulzWork(op: NewtonSchulzOp, block: Block, context: OpContext): OpWork {
  const x = bufferOf(block, op.x);
  assert(x.param !== undefined, `${x.name} names its parameter`);
  const queries: { query: OpWork["queries"][number]["query"]; times: number }[] = [];
  let numLaunches = 0;
  let workFlops = 0;
  const matrices = muonMatrices(x.param, context.mesh.ep);
  for (const { rows, columns, count } of matrices) {
    const [small, large] = [Math.min(rows, columns), Math.max(rows, columns)];
    const times = op.steps * count;
    const product = (n: number, k: number) =>
      gemm({
        m: small,
        n,
        k,
        batch: 1,
        compute: x.dtype,
        layout: "NN",
        accumulate: false,
        outDtype: x.dtype,
      });
    queries.push({ query: product(small, large), times });
    queries.push({ query: product(small, small), times });
    queries.push({ query: product(large, small), times });
    workFlops += times * (4 * small * small * large + 2 * small ** 3);
    numLaunches += count * (3 * op.steps + memoryKernels);
  }
  const numMatrices = matrices.reduce((sum, { count }) => sum + count, 0);
  const sizeBytes = 3 * ownBytes(block, op.x) + 2 * ownBytes(block, op.out);
  queries.push({
    query: { kind: "memory", sizeBytes, numKernels: memoryKernels * numMatrices, access: "stream" },
    times: 1,
  });
  return { queries, numLaunches, workFlops, sizeBytes };
}

/** Norm, scaled copy, result. */
const memoryKernels = 3;
