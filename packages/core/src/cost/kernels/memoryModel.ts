// Kernels bound by memory traffic, and linear-time scans: bytes over the bandwidth a stream reaches, one launch floor per kernel.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { MemoryQuery, ScanQuery } from "../types.ts";
import { kernelFloorSec, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";

/** Microseconds of launch and drain of one kernel, and the share of the data-sheet bandwidth a stream reaches. */
export function defaultMemoryParams(device: DeviceSpec): readonly [floorUs: number, stream: number] {
  return [kernelFloorSec(device) * 1e6, streamEfficiency(device)];
}

/** Seconds of one kernel that moves `sizeBytes` that no cache holds. */
function streamSeconds(device: DeviceSpec, sizeBytes: number, [floorUs, stream]: readonly [number, number]): number {
  return floorUs * 1e-6 + sizeBytes / (device.memoryBytesPerSec * stream);
}

/** Share of streaming bandwidth that each access pattern keeps (reductions synchronise, gathers and transposes waste part of a line). */
const ACCESS_EFFICIENCY: Readonly<Record<MemoryQuery["access"], number>> = {
  stream: 1,
  reduce: 0.92,
  gather: 0.8,
  transpose: 0.75,
  // Where a device notices the arithmetic, measurements say how much (cost/measurements).
  activation: 1,
};

/** Seconds of a set of memory-bound kernels on cold data. */
export function memorySeconds(device: DeviceSpec, query: MemoryQuery, params: readonly [number, number]): number {
  const one = streamSeconds(
    device,
    query.sizeBytes / Math.max(1, query.numKernels) / ACCESS_EFFICIENCY[query.access],
    params,
  );
  return query.numKernels * one;
}

/** Share of the matrix peak that chunked scans reach: small products inside chunks, chained over chunks (Mamba-2, arXiv 2405.21060, section 6). */
const SCAN_COMPUTE_EFFICIENCY = 0.25;

/** Seconds of a chunked scan. */
export function scanSeconds(device: DeviceSpec, query: ScanQuery, params: readonly [number, number]): number {
  const computeSec = query.workFlops / (peakFlopsPerSec(device, "bf16") * SCAN_COMPUTE_EFFICIENCY);
  const floorSec = query.numKernels * params[0] * 1e-6;
  const memorySec = query.sizeBytes / (device.memoryBytesPerSec * params[1] * ACCESS_EFFICIENCY.reduce);
  return floorSec + Math.max(computeSec, memorySec);
}
