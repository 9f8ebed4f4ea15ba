// What a job runs on: devices, their memory and links, and the nested levels of the network.

import type { DType } from "../units/dtype.ts";
import type { MeasuredCollectives, MeasuredKernels } from "./measurements/types.ts";
import type { MixedFacts } from "./mixed.ts";

export interface DeviceSpec {
  /** Catalogue id, such as `h100_sxm`. */
  readonly id: string;
  readonly name: string;
  readonly vendor: string;
  readonly arch: string;
  readonly year: number;
  /** Dense peak (no sparsity) at boost clock, FLOP/s, by number format. */
  readonly peakFlopsPerSec: Readonly<Partial<Record<DType, number>>>;
  readonly memoryBytes: number;
  readonly memoryBytesPerSec: number;
  readonly l2Bytes: number;
  /** SMs, CUs, Xe cores or TensorCores. */
  readonly units: number;
  readonly boostHz: number;
  readonly tdpWatts: number;
  readonly idleWatts: number;
  /** Host link, one direction. */
  readonly hostLinkBytesPerSec: number;
  /**
   * Seconds between two ops of a device that issues its own work, as a processor core does that interprets the program: nothing runs meanwhile. Absent: a host
   * issues ahead of the device (Software.hostSecPerKernel).
   */
  readonly dispatchSec?: number;
  /** The same by the bytes of the op before: what works on more than the caches hold drives the interpreter out of them. Ascending; dispatchSec where absent. */
  readonly dispatchAfter?: readonly { readonly sizeBytes: number; readonly durationSec: number }[];
  /** What takes the device away from its job, measured with so many devices of the machine at work; ascending. Absent: noise of accelerators (simulate/noise.ts). */
  readonly interruptions?: readonly Interruptions[];
  readonly priceUsdPerHour?: number;
  /** Catalogue id of the part this one was described from (`base` of an inline device): measured tables of it are the nearest. */
  readonly basedOn?: string;
  /** Per-figure provenance: key of the figure -> source. */
  readonly source: Readonly<Record<string, string>>;
  /** Kernels timed on this machine; prices follow them (cost/measurements). */
  readonly measured?: MeasuredKernels;
}

/** Moments at which a device does something else than its op: another program has its core, memory is cleared up, a clock is held. */
export interface Interruptions {
  readonly numDevices: number;
  /** Per busy second of a device. */
  readonly perSec: number;
  /** Mean and root mean square of their lengths. */
  readonly meanSec: number;
  readonly rmsSec: number;
}

export type LinkKind = "nvlink" | "xgmi" | "pcie" | "infiniband" | "ethernet" | "ici" | "dcn" | "other";

/** One level of the network, from the inside out: the devices that share it and the speed at which one device crosses it. */
export interface NetworkLevel {
  /** `gcd-pair`, `node`, `nvl72`, `rail`, `fabric`... */
  readonly name: string;
  readonly kind: LinkKind;
  /** Devices inside one instance of this level (the whole cluster for the last). */
  readonly numDevices: number;
  /** Per device, one direction, when every device of the level talks at once (oversubscription included). */
  readonly bytesPerSec: number;
  /** Base latency of one message. */
  readonly latencySec: number;
  /** All-to-all switch, full mesh, ring/torus or a shared bus. */
  readonly shape: "switch" | "mesh" | "torus" | "bus";
  /** Torus dimensions, when shape is torus. */
  readonly torusDims?: readonly number[];
  /** The switch can reduce in the network (NVLink SHARP, InfiniBand SHARP). */
  readonly inNetworkReduce: boolean;
  /**
   * A link between islands. A ring over all ranks crosses it in few places: `perNode` links carry it on the NICs of one node each way while the others rest,
   * a `shared` link gives the ring of every group its part. Absent: a fabric.
   */
  readonly crossing?: "perNode" | "shared";
}

export interface NodeSpec {
  readonly numDevices: number;
  readonly numNics: number;
  /** One NIC, one direction. */
  readonly nicBytesPerSec: number;
  readonly hostMemoryBytes: number;
  readonly hostMemoryBytesPerSec: number;
  readonly nvmeBytesPerSec: number;
  /** Watts of host, NICs and fans beside the devices. */
  readonly hostWatts: number;
}

export interface ClusterSpec {
  readonly name: string;
  readonly device: DeviceSpec;
  readonly numDevices: number;
  readonly node: NodeSpec;
  /** Innermost first; the last level holds all devices. At least one. */
  readonly levels: readonly NetworkLevel[];
  readonly usdPerDeviceHour?: number;
  readonly notes: readonly string[];
  /** Collectives timed on this machine; prices follow them. */
  readonly measured?: MeasuredCollectives;
  /**
   * Devices of several kinds, nodes of several sizes, or islands that a slower link joins; absent in a cluster of one kind. Device, node, levels and
   * price above are then those of the fastest group: what holds for a rank stands in its group's view.
   */
  readonly groups?: readonly DeviceGroup[];
  /** What the groups were made from, so that they can be put in another order (placedCluster). */
  readonly mixed?: MixedFacts;
}

/** Devices of one kind in nodes of one size: consecutive devices of a mixed cluster. */
export interface DeviceGroup {
  readonly name: string;
  /** Groups of one island share a fabric. */
  readonly island: string;
  /** The group holds the devices firstDevice .. firstDevice + numDevices - 1. */
  readonly firstDevice: number;
  readonly numDevices: number;
  /** Index of the first group of the island that is alike: same device, nodes and links. */
  readonly alike: number;
  /** The whole cluster as seen from this group: its device, its node, its own levels, then wider ones at the rate of the slowest link inside them. */
  readonly view: ClusterSpec;
  /** By level of the view: the groups whose devices one instance holds; only this group inside it. */
  readonly reach: readonly (readonly number[])[];
}

/**
 * How the ranks of one communication group lie on the network: `spans[i]` is how many ranks of the group share one
 * instance of level i (cumulative, innermost first; the last equals the group size).
 * Eight ranks in two nodes of four: [4, 8]. `concurrent[i]` is how many groups of the same kind cross level i at the
 * same time through the links of one level-(i-1) instance, per device: 1 when each device has its own share.
 */
export interface GroupPlacement {
  readonly size: number;
  readonly spans: readonly number[];
}
