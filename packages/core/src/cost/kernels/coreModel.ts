// Kernels on a processor core that issues its own work (DeviceSpec.dispatchSec): its arithmetic or its memory, whichever takes longer. No tiles to fill, no waves, no
// launch, so tables of accelerators say nothing about it. What vectors, packing and caches make of this is left to measurements (cost/measurements), whose ratios
// vary slowly over so plain a price.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { AttentionQuery, Cost, KernelQuery } from "../types.ts";
import { operandBytes, peakFlopsPerSec } from "./roofline.ts";

/** Scores once more, and products for the gradients of values, probabilities, queries and keys: five products against forward's two. */
const BACKWARD_PRODUCTS = 5 / 2;
/** What a core reaches of either limit depends on the code: a factor of two is common. */
const CORE_STD = 0.5;

/** Null for kernels of inference engines, which no core runs here. */
export function coreCost(device: DeviceSpec, query: KernelQuery): Cost | null {
  const durationSec = coreSeconds(device, query);
  return durationSec === null ? null : { durationSec, source: "analytic", relStd: CORE_STD };
}

function coreSeconds(device: DeviceSpec, query: KernelQuery): number | null {
  const slower = (workFlops: number, sizeBytes: number, peak: number) =>
    Math.max(workFlops / peak, sizeBytes / device.memoryBytesPerSec);
  switch (query.kind) {
    case "gemm": {
      const { m, n, k, batch, dtype } = query;
      const { activation } = operandBytes(dtype);
      const sizeBytes = batch * (m * k + k * n + m * n) * activation;
      return slower(2 * batch * m * n * k, sizeBytes, peakFlopsPerSec(device, dtype));
    }
    case "groupedGemm": {
      const { groups, totalRows, n, k, dtype } = query;
      const { activation } = operandBytes(dtype);
      const sizeBytes = (totalRows * (k + n) + groups * k * n) * activation;
      return slower(2 * totalRows * n * k, sizeBytes, peakFlopsPerSec(device, dtype));
    }
    case "attention":
      return slower(attentionFlops(query), 0, peakFlopsPerSec(device, query.dtype));
    case "memory":
      return query.sizeBytes / device.memoryBytesPerSec;
    case "scan":
      return slower(query.workFlops, query.sizeBytes, peakFlopsPerSec(device, "bf16"));
    default:
      return null;
  }
}

function attentionFlops({ phase, batch, heads, pairs, headDim, vHeadDim }: AttentionQuery): number {
  const forward = 2 * batch * heads * pairs * (headDim + vHeadDim);
  return phase === "forward" ? forward : BACKWARD_PRODUCTS * forward;
}
