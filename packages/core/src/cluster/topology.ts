// From device and node facts to the nested levels of the network, innermost first.
//
// Every level states what one device gets when all devices of the level talk at once, and the latency of one message.
// Scale-up shapes: NVSwitch, full mesh (xGMI), GCD pairs, hybrid cube mesh, bridged pairs over a PCIe host bus, bare
// PCIe, and TPU tori. Above the node: a rail-optimised or fat-tree fabric, with leaf level and oversubscription if given.

import type { CatalogueEntry } from "./catalogue.ts";
import type { LinkKind, NetworkLevel } from "./types.ts";

/**
 * Latency of one message across a link of each kind, software of the collective library included, seconds.
 * NVLink, PCIe: slopes of the small-message collectives against rank count in shared/data/network (see
 * docs/cost-network.md); InfiniBand from the 2-node send/recv table; the rest as remembered.
 */
export const LINK_LATENCY_SEC: Readonly<Record<LinkKind, number>> = {
  nvlink: 0.8e-6,
  xgmi: 1.5e-6,
  pcie: 1.2e-6,
  infiniband: 5e-6,
  ethernet: 8e-6,
  ici: 1e-6,
  dcn: 25e-6,
  other: 5e-6,
};

/** EFA and TCP fabrics: about 20 us a round in the 2-node p5 all-reduce (70 us for 8 bytes, two rounds and the node's own 16 us). */
const SOFTWARE_FABRIC_LATENCY_SEC = 20e-6;

/** Latency of a fabric by its name: RDMA Ethernet differs from EFA and TCP, which the link kind does not say. */
export function fabricLatencySec(type: string | undefined, kind: LinkKind): number {
  return type !== undefined && /efa|tcp/i.test(type) ? SOFTWARE_FABRIC_LATENCY_SEC : LINK_LATENCY_SEC[kind];
}

export interface FabricFacts {
  readonly kind: "rail" | "fat-tree" | "dcn";
  readonly link: LinkKind;
  /** Per device, one direction, out of the node. */
  readonly bytesPerSec: number;
  readonly latencySec: number;
  /** Bandwidth below the leaf switches over bandwidth above them; 1 = non-blocking. */
  readonly oversubscription: number;
  /** Nodes under one leaf (or pod); absent: one level. */
  readonly nodesPerLeaf?: number;
  readonly inNetworkReduce: boolean;
}

/** Facts of the inside of a node or scale-up domain, once the user's overrides are applied. */
export interface ScaleUpPlan {
  readonly kind: CatalogueEntry["scaleUp"]["kind"];
  readonly link: LinkKind;
  readonly bytesPerSec: number;
  readonly latencySec: number;
  readonly domain: number;
  readonly inNetworkReduce: boolean;
  readonly pairBytesPerSec?: number;
  readonly torusDims?: readonly number[];
}

export function scaleUpPlanOf(device: CatalogueEntry, devicesPerNode: number): ScaleUpPlan {
  const facts = device.scaleUp;
  const link = linkKindOf(facts.type);
  return {
    kind: facts.kind,
    link,
    bytesPerSec: facts.bytesPerSec,
    latencySec: LINK_LATENCY_SEC[link],
    domain:
      facts.kind === "pairs" || facts.kind === "torus"
        ? facts.domain
        : Math.max(devicesPerNode, facts.domain > 16 ? facts.domain : 0),
    inNetworkReduce: facts.inNetworkReduce === true,
    ...(facts.pairBytesPerSec === undefined ? {} : { pairBytesPerSec: facts.pairBytesPerSec }),
  };
}

export function linkKindOf(type: string): LinkKind {
  const text = type.toLowerCase();
  if (text.includes("nvlink")) return "nvlink";
  if (text.includes("xgmi") || text.includes("infinity")) return "xgmi";
  if (text.includes("ici") || text.includes("torus") || text.includes("neuronlink")) return "ici";
  if (text.includes("pcie")) return "pcie";
  if (text.includes("infiniband") || text.includes("omni") || text.includes("slingshot")) return "infiniband";
  if (text.includes("dcn")) return "dcn";
  if (/roce|ethernet|efa|tcp/.test(text)) return "ethernet";
  return "other";
}

/** Levels inside one node or scale-up domain of `numDevices` devices (fewer when the job is smaller). */
export function innerLevels(
  device: CatalogueEntry,
  plan: ScaleUpPlan,
  devicesPerNode: number,
  numDevices: number,
): NetworkLevel[] {
  const domain = Math.min(numDevices, plan.domain);
  const inNode = Math.min(numDevices, devicesPerNode);
  const base = { kind: plan.link, latencySec: plan.latencySec, inNetworkReduce: plan.inNetworkReduce };
  const pcie: NetworkLevel = {
    name: "node",
    kind: "pcie",
    numDevices: inNode,
    bytesPerSec: device.hostLinkBytesPerSec,
    latencySec: LINK_LATENCY_SEC.pcie,
    shape: "bus",
    inNetworkReduce: false,
  };
  switch (plan.kind) {
    case "none":
      return [pcie];
    case "pairs": {
      const pair: NetworkLevel = {
        ...base,
        name: "bridge",
        numDevices: domain,
        bytesPerSec: plan.bytesPerSec,
        shape: "mesh",
        inNetworkReduce: false,
      };
      return inNode > domain ? [pair, pcie] : [pair];
    }
    case "gcdPairs": {
      const pair: NetworkLevel = {
        ...base,
        name: "gcd-pair",
        numDevices: Math.min(2, inNode),
        bytesPerSec: plan.pairBytesPerSec ?? plan.bytesPerSec,
        shape: "mesh",
        inNetworkReduce: false,
      };
      return inNode > 2
        ? [pair, { ...base, name: "node", numDevices: inNode, bytesPerSec: plan.bytesPerSec, shape: "mesh" }]
        : [pair];
    }
    case "mesh":
      return [{ ...base, name: "node", numDevices: inNode, bytesPerSec: plan.bytesPerSec, shape: "mesh" }];
    case "cubeMesh":
      return [
        {
          ...base,
          name: "node",
          numDevices: inNode,
          bytesPerSec: plan.bytesPerSec,
          shape: "mesh",
          inNetworkReduce: false,
        },
      ];
    case "switch":
      return [
        {
          ...base,
          name: domain > 16 ? `nvl${plan.domain}` : "node",
          numDevices: domain,
          bytesPerSec: plan.bytesPerSec,
          shape: "switch",
        },
      ];
    case "torus":
      return [
        {
          ...base,
          name: "slice",
          numDevices: domain,
          bytesPerSec: plan.bytesPerSec,
          shape: "torus",
          torusDims: plan.torusDims ?? squareDims(domain, device.scaleUp.torusRank ?? 2),
          inNetworkReduce: false,
        },
      ];
  }
}

/** Levels above the node; none when the job fits inside. */
export function outerLevels(fabric: FabricFacts, domainDevices: number, numDevices: number): NetworkLevel[] {
  if (numDevices <= domainDevices) return [];
  const base = {
    kind: fabric.link,
    latencySec: fabric.latencySec,
    shape: "switch" as const,
    inNetworkReduce: fabric.inNetworkReduce,
  };
  const leafDevices = fabric.nodesPerLeaf === undefined ? numDevices : fabric.nodesPerLeaf * domainDevices;
  if (leafDevices >= numDevices) {
    // One leaf holds the job, or no leaf was named: then oversubscription applies to all traffic out of the node.
    const factor = fabric.nodesPerLeaf === undefined ? fabric.oversubscription : 1;
    return [{ ...base, name: fabric.kind, numDevices, bytesPerSec: fabric.bytesPerSec / factor }];
  }
  return [
    { ...base, name: "leaf", numDevices: leafDevices, bytesPerSec: fabric.bytesPerSec },
    {
      ...base,
      name: fabric.kind === "dcn" ? "dcn" : "spine",
      numDevices,
      bytesPerSec: fabric.bytesPerSec / fabric.oversubscription,
      latencySec: fabric.latencySec * 1.3,
    },
  ];
}

/** Torus side lengths, near equal, product = n: 256 in 2D is 16 x 16, 128 in 3D is 4 x 4 x 8. */
export function squareDims(n: number, rank: number): number[] {
  const dims: number[] = [];
  let rest = n;
  for (let left = rank; left > 1; left--) {
    let side = Math.max(1, Math.floor(rest ** (1 / left) + 1e-9));
    while (rest % side !== 0) side -= 1;
    dims.push(side);
    rest /= side;
  }
  return [...dims, rest].sort((a, b) => a - b);
}
