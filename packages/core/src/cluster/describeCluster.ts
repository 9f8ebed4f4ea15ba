// A cluster of one kind of device written out as a description that reads back to the same cluster: every level, NIC and host figure stands in it, in
// base units. What a changed cluster (other bandwidths, another size) is handed to other programs as.

import type { ClusterSpec } from "./types.ts";

/**
 * The fields of a `cluster` section (factsDescription.ts). Null for a cluster of several groups.
 *
 * @param device its `device` field: a catalogue name, or a base with changes (deviceDescription.ts).
 */
export function clusterDescription(cluster: ClusterSpec, device: unknown): Readonly<Record<string, unknown>> | null {
  if (cluster.groups !== undefined) return null;
  const { node, levels, usdPerDeviceHour } = cluster;
  return {
    name: cluster.name,
    device,
    devices: cluster.numDevices,
    devices_per_node: node.numDevices,
    nics: { count: node.numNics, speed: node.nicBytesPerSec },
    levels: levels.map((level) => ({
      name: level.name,
      kind: level.kind,
      devices: level.numDevices,
      bandwidth: level.bytesPerSec,
      latency: level.latencySec,
      shape: level.shape,
      ...(level.torusDims === undefined ? {} : { dims: level.torusDims }),
      in_network_reduce: level.inNetworkReduce,
    })),
    host: {
      memory: node.hostMemoryBytes,
      memory_bandwidth: node.hostMemoryBytesPerSec,
      nvme: node.nvmeBytesPerSec,
      watts: node.hostWatts,
    },
    ...(usdPerDeviceHour === undefined ? {} : { usd_per_device_hour: usdPerDeviceHour }),
  };
}
