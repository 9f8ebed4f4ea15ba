// What could be different about a job, one thing at a time: links, memory, peak, power, host, noise. A knob turns by a factor, 1 being the job as it is and
// larger always meaning better hardware, so that sensitivities ask for a few factors and targets for the smallest one that suffices.
//
// A changed job is an ordinary job: it is lowered, priced and simulated anew. Tables measured on the present hardware stop where they no longer apply (a
// faster NVLink is priced from the nearest measured system of such links), so a knob includes the error between two prices of one thing.

import { changedCluster } from "../../cluster/index.ts";
import type { ClusterSpec, DeviceSpec, NetworkLevel } from "../../cluster/types.ts";
import { isFabric } from "../../cost/network/levels.ts";
import type { SimulateOptions, StepSpec } from "../../simulate/index.ts";
import { noNoise } from "../../simulate/index.ts";
import { formatBitRate, formatBytes, formatFlopRate, formatRate, formatSeconds } from "../../units/format.ts";

/** A job and how it is simulated. */
export interface Scenario {
  readonly spec: StepSpec;
  readonly options: SimulateOptions;
}

export interface Knob {
  readonly id: string;
  /** Turned as far as it goes: `unlimited NICs`. */
  readonly limit: string;
  /** Null where the job has nothing to turn. */
  readonly turn: (scenario: Scenario, factor: number) => Scenario | null;
  /** `NICs 400 Gb/s -> 800 Gb/s`. */
  readonly words: (scenario: Scenario, factor: number) => string;
}

export const hardwareKnobs: readonly Knob[] = [
  {
    id: "nic",
    limit: "unlimited NICs",
    turn: (at, factor) =>
      onLevels(at, (level, cluster) =>
        isFabric(cluster, level) && level.crossing === undefined ? faster(level, factor) : level,
      ),
    words: ({ spec: { cluster } }, factor) => {
      const { nicBytesPerSec, numNics, numDevices } = cluster.node;
      const rate = cluster.levels.find((level) => isFabric(cluster, level))?.bytesPerSec ?? 0;
      // A fabric that is described by its bandwidth, or oversubscribed, is not what the NICs say.
      if (Math.abs((nicBytesPerSec * numNics) / numDevices / rate - 1) > 0.01)
        return `network ${formatRate(rate)} -> ${formatRate(rate * factor)} per device`;
      return `NICs ${formatBitRate(nicBytesPerSec)} -> ${formatBitRate(nicBytesPerSec * factor)}`;
    },
  },
  {
    id: "island_link",
    limit: "unlimited links between islands",
    turn: (at, factor) => onLevels(at, (level) => (level.crossing === undefined ? level : faster(level, factor))),
    words: ({ spec }, factor) => {
      const rate = spec.cluster.levels.find((level) => level.crossing !== undefined)?.bytesPerSec ?? 0;
      return `links between islands ${formatRate(rate)} -> ${formatRate(rate * factor)} per device`;
    },
  },
  {
    id: "fabric_latency",
    limit: "no latency between nodes",
    turn: (at, factor) =>
      onLevels(at, (level, cluster) =>
        isFabric(cluster, level) ? { ...level, latencySec: level.latencySec / factor } : level,
      ),
    words: ({ spec }, factor) => {
      const latencySec = spec.cluster.levels.at(-1)!.latencySec;
      return `latency between nodes ${formatSeconds(latencySec)} -> ${formatSeconds(latencySec / factor)}`;
    },
  },
  {
    id: "scale_up",
    limit: "unlimited links inside the node",
    turn: (at, factor) => onLevels(at, (level, cluster) => (isFabric(cluster, level) ? level : faster(level, factor))),
    words: ({ spec }, factor) => {
      const { kind, bytesPerSec } = spec.cluster.levels[0]!;
      return `${linkNames[kind] ?? kind} ${formatRate(bytesPerSec)} -> ${formatRate(bytesPerSec * factor)}`;
    },
  },
  {
    id: "hbm",
    limit: "unlimited memory bandwidth",
    turn: (at, factor) =>
      onDevice(at, (device) => ({ ...device, memoryBytesPerSec: device.memoryBytesPerSec * factor })),
    words: ({ spec }, factor) => {
      const { memoryBytesPerSec } = spec.cluster.device;
      return `memory ${formatRate(memoryBytesPerSec)} -> ${formatRate(memoryBytesPerSec * factor)}`;
    },
  },
  {
    id: "peak",
    limit: "unlimited peak FLOP/s at the same power limit",
    turn: (at, factor) => onDevice(at, (device) => ({ ...device, peakFlopsPerSec: scaledPeaks(device, factor) })),
    words: ({ spec }, factor) => {
      const peaks = spec.cluster.device.peakFlopsPerSec;
      const peak = peaks.bf16 ?? peaks.fp16 ?? peaks.fp32 ?? 0;
      return `peak ${formatFlopRate(peak)} -> ${formatFlopRate(peak * factor)} at the same power limit`;
    },
  },
  {
    id: "power",
    limit: "no power limit",
    turn: (at, factor) => onDevice(at, (device) => ({ ...device, tdpWatts: device.tdpWatts * factor })),
    words: ({ spec }, factor) => {
      const { tdpWatts } = spec.cluster.device;
      return `power limit ${Math.round(tdpWatts)} W -> ${Math.round(tdpWatts * factor)} W`;
    },
  },
  {
    id: "host_link",
    limit: "unlimited host link",
    turn: (at, factor) => {
      const { offloadActivations, offloadOptimizer } = at.spec.strategy;
      if (!offloadActivations && !offloadOptimizer) return null;
      return onDevice(at, (device) => ({ ...device, hostLinkBytesPerSec: device.hostLinkBytesPerSec * factor }));
    },
    words: ({ spec }, factor) => {
      const { hostLinkBytesPerSec } = spec.cluster.device;
      return `host link ${formatRate(hostLinkBytesPerSec)} -> ${formatRate(hostLinkBytesPerSec * factor)}`;
    },
  },
  {
    id: "host",
    limit: "no host time per kernel",
    turn: (at, factor) => {
      const { software } = at.spec;
      if (software.hostSecPerKernel <= 0) return null;
      return {
        ...at,
        spec: { ...at.spec, software: { ...software, hostSecPerKernel: software.hostSecPerKernel / factor } },
      };
    },
    words: ({ spec }, factor) => {
      const { hostSecPerKernel } = spec.software;
      return `host time per kernel ${formatSeconds(hostSecPerKernel)} -> ${formatSeconds(hostSecPerKernel / factor)}`;
    },
  },
];

/** Devices and nodes that all run at one speed: what waiting for the slowest costs. */
export function withoutStragglers(at: Scenario): Scenario {
  return { ...at, options: { ...at.options, noise: noNoise } };
}

/** `devices with 141 GiB`, rounded up to whole GiB. */
export function memoryWords(needBytes: number): string {
  return `devices with ${formatBytes(Math.ceil(needBytes / 2 ** 30) * 2 ** 30)}`;
}

const linkNames: Readonly<Partial<Record<NetworkLevel["kind"], string>>> = {
  nvlink: "NVLink",
  xgmi: "Infinity Fabric",
  pcie: "PCIe",
  ici: "ICI",
};

function faster(level: NetworkLevel, factor: number): NetworkLevel {
  return { ...level, bytesPerSec: level.bytesPerSec * factor };
}

function scaledPeaks(device: DeviceSpec, factor: number): DeviceSpec["peakFlopsPerSec"] {
  return Object.fromEntries(Object.entries(device.peakFlopsPerSec).map(([dtype, peak]) => [dtype, peak * factor]));
}

function onDevice(at: Scenario, change: (device: DeviceSpec) => DeviceSpec): Scenario {
  const cluster = changedCluster(at.spec.cluster, (view) => ({ ...view, device: change(view.device) }));
  return { ...at, spec: { ...at.spec, cluster } };
}

/** Null when no level changes. */
function onLevels(at: Scenario, change: (level: NetworkLevel, cluster: ClusterSpec) => NetworkLevel): Scenario | null {
  let changed = false;
  const cluster = changedCluster(at.spec.cluster, (view) => {
    const levels = view.levels.map((level) => change(level, view));
    changed ||= levels.some((level, i) => level !== view.levels[i]);
    return { ...view, levels };
  });
  return changed ? { ...at, spec: { ...at.spec, cluster } } : null;
}
