// Prices one kernel on one device.

import type { DeviceSpec } from "../../cluster/types.ts";
import { dtypeBytes } from "../../units/dtype.ts";
import { unreachable } from "../../units/errors.ts";
import type { Cost, KernelQuery } from "../types.ts";
import { attentionSeconds, decodeSeconds, mlaSeconds } from "./attentionModel.ts";
import { gemmTerms, joinTerms } from "./gemmModel.ts";
import { memorySeconds, scanSeconds } from "./memoryModel.ts";
import { fusedMoeSeconds, groupedGemmSeconds } from "./moeModel.ts";

/** Seconds one kernel takes on `device`, where the figure came from and one relative standard deviation. */
export function kernelCost(device: DeviceSpec, query: KernelQuery): Cost {
  return { durationSec: analyticSeconds(device, query), source: "analytic", relStd: 0.25 };
}

function analyticSeconds(device: DeviceSpec, query: KernelQuery): number {
  switch (query.kind) {
    case "gemm":
      return joinTerms(gemmTerms(device, { ...query, outBytes: dtypeBytes(query.outDtype) }));
    case "groupedGemm":
      return groupedGemmSeconds(device, query);
    case "attention":
      return attentionSeconds(device, query);
    case "decodeAttention":
      return decodeSeconds(device, { ...query, kvBytes: query.dtype === "fp8kv" ? 1 : 2 });
    case "mlaAttention":
      return mlaSeconds(device, query);
    case "fusedMoe":
      return fusedMoeSeconds(device, query);
    case "memory":
      return memorySeconds(device, query);
    case "scan":
      return scanSeconds(device, query);
    default:
      return unreachable(query);
  }
}
