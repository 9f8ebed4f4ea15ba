// Into how many kernels, and how many passes over memory, a memory-bound op falls apart. What an eager framework adds the lowering says in
// `passes`; here stands what even a fused implementation needs, because a reduction over all rows or a sort must finish before the next step.

import type { Op } from "../parallel/program.ts";

export interface Passes {
  /** Multiplies the bytes of one pass over what the op reads and writes. */
  readonly bytes: number;
  readonly kernels: number;
}

export function elementwisePasses(op: Op): Passes {
  const own = ownPasses(op);
  const passes = op.passes ?? 1;
  return { bytes: own.bytes * passes, kernels: own.kernels * passes };
}

function ownPasses(op: Op): Passes {
  switch (op.kind) {
    case "normBackward":
      // Input gradient, then the second stage of the column sum of the weight gradient.
      return { bytes: 1, kernels: 2 };
    case "cast":
      // Two passes of current scaling are three kernels a part: largest value, scale, cast.
      return { bytes: 1, kernels: ((op.numParts ?? 1) * (op.passes === undefined ? 1 : 3)) / (op.passes ?? 1) };
    case "router":
      // Softmax and top-k, histogram, load-balancing statistics. Counts that the host reads: sums over local experts, exchange of counts, split sizes,
      // row maps and the copies to the host (Megatron-Core token_dispatcher.py preprocess).
      return { bytes: 1, kernels: op.hostSync === true ? 12 : 3 };
    case "squareSums":
      // By row, then by column.
      return { bytes: 2, kernels: 2 };
    case "routerBackward":
    case "loss":
    case "gradNorm":
      return { bytes: 1, kernels: 2 };
    case "embeddingBackward":
      // The dense temporary gradient is zero-filled, scattered into, and added to the main gradient.
      return { bytes: 2, kernels: 3 };
    default:
      return { bytes: 1, kernels: 1 };
  }
}
