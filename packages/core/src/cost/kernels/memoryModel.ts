// Kernels bound by memory traffic, and linear-time scans: bytes over the bandwidth a stream reaches, one launch floor per kernel.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { MemoryQuery, ScanQuery } from "../types.ts";
import { kernelFloorSec, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";

export const MEMORY_PARAMS = [
  { name: "floorUs", start: 2.2, note: "launch and drain of one kernel, microseconds" },
  { name: "stream", start: 0.85, note: "share of the data-sheet bandwidth" },
  { name: "l2Ratio", start: 2, note: "L2 bandwidth over HBM bandwidth" },
  { name: "l2Share", start: 0.5, note: "share of L2 that keeps a buffer between calls" },
] as const;

/** Parameters of a device without an elementwise table. */
export function defaultMemoryParams(device: DeviceSpec): readonly number[] {
  return [kernelFloorSec(device) * 1e6, streamEfficiency(device), 2, 0.5];
}

/** Seconds of one kernel that moves `sizeBytes`; `warm` when the same buffers were used just before. */
export function streamSeconds(device: DeviceSpec, sizeBytes: number, params: readonly number[], warm: boolean): number {
  const [floorUs, stream, l2Ratio, l2Share] = params as readonly number[] as [number, number, number, number];
  let slowness = 1;
  if (warm && sizeBytes > 0) {
    const hit = Math.min(1, (l2Share * device.l2Bytes) / sizeBytes) ** 2;
    slowness = 1 - hit + hit / l2Ratio;
  }
  return floorUs * 1e-6 + (sizeBytes * slowness) / (device.memoryBytesPerSec * stream);
}

/** Share of streaming bandwidth that each access pattern keeps (reductions synchronise, gathers and transposes waste part of a line). */
const ACCESS_EFFICIENCY: Readonly<Record<MemoryQuery["access"], number>> = {
  stream: 1,
  reduce: 0.92,
  gather: 0.8,
  transpose: 0.75,
};

/** Seconds of a set of memory-bound kernels on cold data. */
export function memorySeconds(device: DeviceSpec, query: MemoryQuery, params: readonly number[]): number {
  const one = streamSeconds(
    device,
    query.sizeBytes / Math.max(1, query.numKernels) / ACCESS_EFFICIENCY[query.access],
    params,
    false,
  );
  return query.numKernels * one;
}

/** Share of the matrix peak that chunked scans reach: small products inside chunks, chained over chunks (Mamba-2, arXiv 2405.21060, section 6). */
const SCAN_COMPUTE_EFFICIENCY = 0.25;

/** Seconds of a chunked scan. */
export function scanSeconds(device: DeviceSpec, query: ScanQuery, params: readonly number[]): number {
  const computeSec = query.workFlops / (peakFlopsPerSec(device, "bf16") * SCAN_COMPUTE_EFFICIENCY);
  const floorSec = query.numKernels * (params[0] as number) * 1e-6;
  const memorySec = query.sizeBytes / (device.memoryBytesPerSec * (params[1] as number) * ACCESS_EFFICIENCY.reduce);
  return floorSec + Math.max(computeSec, memorySec);
}
