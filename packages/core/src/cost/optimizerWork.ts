// The optimizer step on the device: passes over gradients, masters, states and working copies, and Muon's matrix products.

import type { Block, OptimizerOp } from "../parallel/program.ts";
import type { OpContext, OpWork } from "./opContext.ts";

/**
 * Unfused AdamW, list by list (PyTorch `foreach`): decay 2, lerp 3, scale 2, addcmul 3, sqrt 2, divide 2, add eps 2, addcdiv 4 = 20 passes over
 * parameter-sized tensors in 8 kernels, against 7 (r p g m v, w p m v) in one.
 */
const FOREACH_PASSES = 20 / 7;
const FOREACH_KERNELS = 8;

/** Newton-Schulz steps of Muon (K. Jordan, "Muon", 2024): per step X X^T, its square and two products with X for an [r, c] matrix, r <= c. */
const MUON_STEPS = 5;

/** @param sizeBytes one pass over everything read and written. */
export function optimizerWork(op: OptimizerOp, block: Block, context: OpContext, sizeBytes: number): OpWork {
  const passes = context.software.fusedOptimizer ? 1 : FOREACH_PASSES;
  const numKernels = context.software.fusedOptimizer ? 1 : FOREACH_KERNELS;
  const memory = { kind: "memory", sizeBytes: sizeBytes * passes, numKernels, access: "stream" } as const;
  const queries: { query: OpWork["queries"][number]["query"]; times: number }[] = [{ query: memory, times: 1 }];
  let numLaunches = numKernels;
  let workFlops = 0;
  if (op.algorithm === "muon") {
    for (const id of op.params) {
      const { shape } = block.buffers[id]!;
      if (shape.length < 2) continue;
      const rows = shape.at(-2)!;
      const columns = shape.at(-1)!;
      const batch = shape.slice(0, -2).reduce((product, n) => product * n, 1);
      const small = Math.min(rows, columns);
      const large = Math.max(rows, columns);
      if (small < 2) continue;
      const base = {
        kind: "gemm",
        batch,
        dtype: "bf16",
        layout: "NN",
        accumulate: false,
        outDtype: "bf16",
        includesQuantisation: false,
        warmCache: false,
      } as const;
      queries.push({ query: { ...base, m: small, n: small, k: large }, times: MUON_STEPS });
      queries.push({ query: { ...base, m: small, n: small, k: small }, times: MUON_STEPS });
      queries.push({ query: { ...base, m: small, n: large, k: small }, times: MUON_STEPS });
      workFlops += MUON_STEPS * batch * (4 * small * small * large + 2 * small ** 3);
      numLaunches += 3 * MUON_STEPS;
    }
  }
  return { queries, numLaunches, workFlops, sizeBytes: memory.sizeBytes };
}
