// Puts a ClusterSpec together from settled facts. Shorthand and description parsers both end here, so that the two give
// the same cluster for the same facts.

import { assert } from "../units/errors.ts";
import type { CatalogueEntry } from "./catalogue.ts";
import {
  type FabricFacts,
  fabricLatencySec,
  innerLevels,
  linkKindOf,
  outerLevels,
  type ScaleUpPlan,
  scaleUpPlanOf,
} from "./topology.ts";
import type { ClusterSpec, DeviceSpec, LinkKind, NetworkLevel, NodeSpec } from "./types.ts";

export interface ClusterFacts {
  readonly name: string;
  readonly device: CatalogueEntry;
  readonly numDevices: number;
  readonly devicesPerNode: number;
  /** Overrides of the catalogue's typical node. */
  readonly numNics?: number;
  readonly nicBytesPerSec?: number;
  readonly fabricType?: string;
  readonly fabric?: Partial<FabricFacts>;
  readonly scaleUp?: Partial<ScaleUpPlan>;
  readonly host?: Partial<
    Pick<NodeSpec, "hostMemoryBytes" | "hostMemoryBytesPerSec" | "nvmeBytesPerSec" | "hostWatts">
  >;
  readonly levels?: readonly NetworkLevel[];
  readonly usdPerDeviceHour?: number;
  readonly notes?: readonly string[];
}

/** Beyond any machine that exists or is planned; a number above is a slip of the keyboard. */
const mostDevices = 10_000_000;

/** What is wrong with a number of devices, or undefined. */
export function tooManyDevices(numDevices: number): string | undefined {
  return numDevices <= mostDevices
    ? undefined
    : `${numDevices} devices are more than the ${mostDevices} a cluster may have`;
}

export function assembleCluster(facts: ClusterFacts): ClusterSpec {
  const { device, numDevices } = facts;
  assert(
    numDevices >= 1 && facts.devicesPerNode >= 1,
    `a cluster has devices: ${numDevices} in nodes of ${facts.devicesPerNode}`,
  );
  const notes = [...(facts.notes ?? [])];
  const node = nodeOf(facts);
  const inner = innerLevels(device, scaleUpOf(facts), facts.devicesPerNode, numDevices);
  const reached = inner.at(-1)?.numDevices ?? 1;
  const levels = facts.levels ?? [...inner, ...outerLevels(fabricOf(facts), reached, numDevices)];
  assert(levels.at(-1)?.numDevices === numDevices, `the last level holds all ${numDevices} devices`);
  if (facts.host?.hostMemoryBytes === undefined)
    notes.push("Host memory assumed: 3 times the device memory of the node");
  if (device.scaleUp.kind === "gcdPairs")
    notes.push(`One device is one GCD: ${numDevices} devices are ${Math.ceil(numDevices / 2)} modules`);
  const usd = facts.usdPerDeviceHour ?? device.priceUsdPerHour;
  return {
    name: facts.name,
    device: specOf(device),
    numDevices,
    node,
    levels,
    ...(usd === undefined ? {} : { usdPerDeviceHour: usd }),
    notes,
  };
}

function nodeOf(facts: ClusterFacts): NodeSpec {
  const { device, host } = facts;
  const inNode = Math.min(facts.numDevices, facts.devicesPerNode);
  return {
    numDevices: inNode,
    numNics: facts.numNics ?? scaledNics(device, facts.devicesPerNode),
    nicBytesPerSec: facts.nicBytesPerSec ?? device.node.nicBytesPerSec,
    hostMemoryBytes: host?.hostMemoryBytes ?? assumedHostBytes(device, facts.devicesPerNode),
    hostMemoryBytesPerSec: host?.hostMemoryBytesPerSec ?? device.node.hostMemoryBytesPerSec,
    nvmeBytesPerSec: host?.nvmeBytesPerSec ?? device.node.nvmeBytesPerSec,
    hostWatts: host?.hostWatts ?? Math.round(0.35 * device.tdpWatts * inNode),
  };
}

/** The inside of a node or scale-up domain, overrides applied. */
export function scaleUpOf(facts: ClusterFacts): ScaleUpPlan {
  return { ...scaleUpPlanOf(facts.device, facts.devicesPerNode), ...facts.scaleUp };
}

/** What leaves a node or scale-up domain, overrides applied. */
export function fabricOf(facts: ClusterFacts): FabricFacts {
  const { numNics, nicBytesPerSec } = nodeOf(facts);
  const { kind } = scaleUpOf(facts);
  const link: LinkKind =
    facts.fabric?.link ??
    (facts.fabricType === undefined ? (kind === "torus" ? "dcn" : "infiniband") : linkKindOf(facts.fabricType));
  return {
    kind: kind === "torus" ? "dcn" : "rail",
    link,
    bytesPerSec: (numNics * nicBytesPerSec) / facts.devicesPerNode,
    latencySec: fabricLatencySec(facts.fabricType, link),
    oversubscription: 1,
    inNetworkReduce: false,
    ...facts.fabric,
  };
}

/** The plain DeviceSpec, without the catalogue's node and link facts. */
export function specOf(device: CatalogueEntry): DeviceSpec {
  const { scaleUp: _scaleUp, node: _node, ...spec } = device;
  return spec;
}

/** Half a typical node has half its NICs, at least one. */
function scaledNics(device: CatalogueEntry, devicesPerNode: number): number {
  const typical = device.node;
  return Math.max(1, Math.round((typical.numNics * devicesPerNode) / typical.numDevices));
}

function assumedHostBytes(device: CatalogueEntry, devicesPerNode: number): number {
  return 3 * device.memoryBytes * devicesPerNode;
}
