// The physics of a whole fused expert layer of an inference engine: routing, permutation, two grouped products, activation, combine.
//
// Every expert that received a row reads its weights once and pads its rows to a tile. A skewed router loads the timed rank more than the
// mean and leaves other experts empty; `skew` says by how much per unit of the power-law exponent.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { FusedMoeQuery, GemmDType } from "../types.ts";
import { operandBytes, peakFlopsPerSec, trafficSec } from "./roofline.ts";

export const MOE_PARAMS = [
  { name: "floorUs", start: 20, note: "launches of the small kernels, microseconds" },
  { name: "stream", start: 0.7, note: "share of the data-sheet bandwidth" },
  { name: "compute", start: 0.5, note: "share of the peak of the grouped products" },
  { name: "padRows", start: 32, note: "rows an expert is padded to" },
  { name: "activation", start: 1, note: "passes over the activations beyond one read and write" },
  { name: "skew", start: 0.2, note: "growth of the timed rank's load with exponent and log2 of expert parallelism" },
  { name: "spread", start: 0.3, note: "shrinkage of the experts hit with the exponent" },
  { name: "overlap", start: 2.5, note: "power norm joining compute and memory time" },
  { name: "expertUs", start: 0.05, note: "cost of one local expert in routing and scheduling, microseconds" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
] as const;

/** Expected number of experts that receive at least one of `picks` uniform picks. */
export function expertsHit(experts: number, picks: number): number {
  return experts * (1 - (1 - 1 / experts) ** picks);
}

/** Exponent of the routing distribution: 0 for balanced. */
export function routingExponent(routing: string): number {
  const exponent = Number(routing.replace("power_law_", ""));
  return Number.isFinite(exponent) ? exponent : 0;
}

/** Table format of the weights' bytes and peak: mxfp4 weights with bf16 activations cost like 4-bit weight-only. */
export function moeGemmDType(dtype: FusedMoeQuery["dtype"]): GemmDType {
  return dtype === "w4a16_mxfp4" ? "int4_wo" : dtype;
}

/** Seconds of one fused expert layer on one rank. */
export function fusedMoeSeconds(device: DeviceSpec, query: FusedMoeQuery, params: readonly number[]): number {
  const [floorUs, stream, compute, padRows, activation, skew, spread, overlap, expertUs, l2Rate] =
    params as readonly number[] as [number, number, number, number, number, number, number, number, number, number];
  const dtype = moeGemmDType(query.dtype);
  const exponent = routingExponent(query.routing);
  const localExperts = Math.max(1, query.experts / query.moeEp);
  const inter = Math.max(1, query.inter / query.moeTp);
  const load = 1 + skew * exponent * Math.log2(query.moeEp);
  const rows = Math.max(
    Math.min(1, query.tokens),
    Math.min((query.tokens * query.topk * load) / query.moeEp, query.tokens * Math.min(query.topk, localExperts)),
  );
  const hit = Math.max(1, Math.min(localExperts, expertsHit(localExperts, rows) / (1 + spread * exponent)));
  const bytes = operandBytes(dtype);
  const weightBytes = hit * 3 * query.hidden * inter * bytes.weight;
  const activationBytes = (1 + activation) * rows * (2 * query.hidden + 3 * inter) * 2;
  const hitShare = Math.min(1, (0.5 * device.l2Bytes) / (weightBytes + activationBytes)) ** 2;
  const memorySec = trafficSec(device, weightBytes + activationBytes, hitShare, stream, l2Rate);
  const paddedRows = rows + hit * padRows * 0.5 + Math.max(0, hit * padRows * 0.5 - rows);
  const computeSec = (6 * paddedRows * query.hidden * inter) / (peakFlopsPerSec(device, dtype) * compute);
  const high = Math.max(computeSec, memorySec);
  const low = Math.min(computeSec, memorySec);
  return (floorUs + expertUs * localExperts) * 1e-6 + high * (1 + (low / high) ** overlap) ** (1 / overlap);
}
