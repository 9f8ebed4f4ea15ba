// Kernels bound by memory traffic, and linear-time scans: bytes over the bandwidth a stream reaches, one launch floor per kernel.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { MemoryQuery, ScanQuery } from "../types.ts";
import { kernelFloorSec, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";

/** Share of streaming bandwidth that each access pattern keeps. */
const ACCESS_EFFICIENCY: Readonly<Record<MemoryQuery["access"], number>> = { stream: 1, reduce: 0.92, gather: 0.8, transpose: 0.75 };

/** Seconds of a set of memory-bound kernels. */
export function memorySeconds(device: DeviceSpec, query: MemoryQuery): number {
  const bandwidth = device.memoryBytesPerSec * streamEfficiency(device) * ACCESS_EFFICIENCY[query.access];
  return query.numKernels * kernelFloorSec(device) + query.sizeBytes / bandwidth;
}

/** Share of the matrix peak that chunked scans reach: small products inside chunks, chained over chunks. */
const SCAN_COMPUTE_EFFICIENCY = 0.25;

/** Seconds of a chunked scan. */
export function scanSeconds(device: DeviceSpec, query: ScanQuery): number {
  const computeSec = query.workFlops / (peakFlopsPerSec(device, "bf16") * SCAN_COMPUTE_EFFICIENCY);
  const memorySec = query.sizeBytes / (device.memoryBytesPerSec * streamEfficiency(device) * ACCESS_EFFICIENCY.reduce);
  return query.numKernels * kernelFloorSec(device) + Math.max(computeSec, memorySec);
}
