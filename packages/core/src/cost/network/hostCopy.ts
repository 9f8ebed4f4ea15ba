// Copies between device memory and host memory over the host link (PCIe, C2C).

import type { ClusterSpec } from "../../cluster/types.ts";
import type { Cost } from "../types.ts";

/** Pinned copies reach about 85 % of the link's data-sheet rate (24-26 of 31.5 GB/s on PCIe 4, 53-55 of 63 on PCIe 5; from memory). */
const PINNED_EFFICIENCY = 0.85;
/** Start of one asynchronous copy. */
const COPY_LATENCY_SEC = 6e-6;

/**
 * Seconds to copy `sizeBytes` one way while every device of the node copies too: the slower of the device's own host link and its
 * share of host memory bandwidth.
 */
export function hostCopyCost(cluster: ClusterSpec, sizeBytes: number): Cost {
  if (sizeBytes <= 0) return { durationSec: 0, source: "analytic", relStd: 0 };
  const link = cluster.device.hostLinkBytesPerSec * PINNED_EFFICIENCY;
  const hostShare = (cluster.node.hostMemoryBytesPerSec * PINNED_EFFICIENCY) / cluster.node.numDevices;
  return { durationSec: COPY_LATENCY_SEC + sizeBytes / Math.min(link, hostShare), source: "analytic", relStd: 0.15 };
}
