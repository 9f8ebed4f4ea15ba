// The physics of expert layers: the grouped products of a training step, and the whole fused layer of an inference engine.
//
// Each expert's rows are padded to a tile; every expert that got a row reads its weights once. A skewed router loads one rank's experts
// more than the mean: the tables time the busiest rank, so the power law's share of the fullest rank enters the row count.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { FusedMoeQuery, GemmDType, GroupedGemmQuery } from "../types.ts";
import { kernelFloorSec, operandBytes, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";
import { gemmTerms, joinTerms } from "./gemmModel.ts";

/** Expected number of experts that receive at least one of `picks` picks, when each pick is uniform. */
export function expertsHit(experts: number, picks: number): number {
  return experts * (1 - (1 - 1 / experts) ** picks);
}

/** Seconds of one grouped product. */
export function groupedGemmSeconds(device: DeviceSpec, query: GroupedGemmQuery): number {
  const meanRows = Math.max(1, query.totalRows / query.groups);
  const weightGradient = query.layout === "NT";
  const shape = weightGradient
    ? { m: query.n, n: query.k, k: meanRows }
    : { m: meanRows, n: query.layout === "NN" ? query.k : query.n, k: query.layout === "NN" ? query.n : query.k };
  const balanced = gemmTerms(device, { ...shape, batch: query.groups, dtype: query.dtype, outBytes: query.accumulate ? 4 : 2, accumulate: query.accumulate });
  return joinTerms(balanced);
}

/** Mean load of the fullest of `ranks` expert-parallel ranks relative to the mean, under `balanced` or `power_law_<exponent>`. */
export function routingSkew(routing: string, ranks: number): number {
  if (ranks <= 1 || routing === "balanced") return 1;
  const exponent = Number(routing.replace("power_law_", ""));
  return Number.isFinite(exponent) ? ranks ** Math.min(0.6, 0.25 * exponent) : 1;
}

/** Seconds of routing, permutation, both grouped products, activation and combine. */
export function fusedMoeSeconds(device: DeviceSpec, query: FusedMoeQuery): number {
  const dtype: GemmDType = query.dtype === "w4a16_mxfp4" ? "int4_wo" : query.dtype;
  const localExperts = Math.max(1, query.experts / query.moeEp);
  const inter = Math.max(1, query.inter / query.moeTp);
  const rows = Math.max(1, ((query.tokens * query.topk) / query.moeEp) * routingSkew(query.routing, query.moeEp));
  const hit = Math.max(1, expertsHit(localExperts, rows));
  const bytes = operandBytes(dtype);
  const weightBytes = hit * 3 * query.hidden * inter * bytes.weight;
  const activationBytes = rows * (4 * query.hidden + 6 * inter) * 2 + query.tokens * query.hidden * 4;
  const memorySec = (weightBytes + activationBytes) / (device.memoryBytesPerSec * streamEfficiency(device) * 0.85);
  const paddedRows = hit * Math.ceil(rows / hit / 64) * 64;
  const computeSec = (6 * Math.min(paddedRows, rows + hit * 64) * query.hidden * inter) / (peakFlopsPerSec(device, dtype) * 0.5);
  return 6 * kernelFloorSec(device) + (computeSec ** 3 + memorySec ** 3) ** (1 / 3);
}
