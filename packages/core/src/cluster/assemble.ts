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
  const inNode = Math.min(numDevices, facts.devicesPerNode);
  const numNics = facts.numNics ?? scaledNics(device, facts.devicesPerNode);
  const nicBytesPerSec = facts.nicBytesPerSec ?? device.node.nicBytesPerSec;
  const node: NodeSpec = {
    numDevices: inNode,
    numNics,
    nicBytesPerSec,
    hostMemoryBytes: facts.host?.hostMemoryBytes ?? assumedHostBytes(device, facts.devicesPerNode),
    hostMemoryBytesPerSec: facts.host?.hostMemoryBytesPerSec ?? device.node.hostMemoryBytesPerSec,
    nvmeBytesPerSec: facts.host?.nvmeBytesPerSec ?? device.node.nvmeBytesPerSec,
    hostWatts: facts.host?.hostWatts ?? Math.round(0.35 * device.tdpWatts * inNode),
  };
  const plan: ScaleUpPlan = { ...scaleUpPlanOf(device, facts.devicesPerNode), ...facts.scaleUp };
  const link: LinkKind =
    facts.fabric?.link ??
    (facts.fabricType === undefined ? (plan.kind === "torus" ? "dcn" : "infiniband") : linkKindOf(facts.fabricType));
  const fabric: FabricFacts = {
    kind: plan.kind === "torus" ? "dcn" : "rail",
    link,
    bytesPerSec: (numNics * nicBytesPerSec) / facts.devicesPerNode,
    latencySec: fabricLatencySec(facts.fabricType, link),
    oversubscription: 1,
    inNetworkReduce: false,
    ...facts.fabric,
  };
  const inner = innerLevels(device, plan, facts.devicesPerNode, numDevices);
  const reached = inner.at(-1)?.numDevices ?? 1;
  const levels = facts.levels ?? [...inner, ...outerLevels(fabric, reached, numDevices)];
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
