// The cluster a row ran on: accelerator, GPUs per node and a network described in words.
//
// Read from the words: `8x200Gb/s HDR IB per node`, `4x100Gb RoCE`, `8x NVIDIA ConnectX-7 IB NDR 400Gb/s`, `400 Gb/s RoCE per GPU`,
// `NVL72 domain (NVLink5) + IB/RoCE`, `500W power limit`, `TPU ICI torus; DCN between slices` (with other_flags.dcn_slices). Where several
// networks are named, the one labelled Compute counts, else the fastest. Null: the catalogue's typical node, which is the README's rule.

import {
  assembleCluster,
  type CatalogueEntry,
  type ClusterFacts,
  type ClusterSpec,
  findDevice,
  linkKindOf,
} from "../cluster/index.ts";
import { count, devicesOf, flagsOf, type Row, text } from "./rowReader.ts";

export interface NetworkWords {
  readonly numNics?: number;
  /** One NIC, one direction. */
  readonly nicBytesPerSec?: number;
  /** True when the words state a NIC per device. */
  readonly perDevice?: boolean;
  readonly fabricType?: string;
  readonly nvlinkDomain?: number;
  readonly powerWatts?: number;
}

function parseNetwork(words: string): NetworkWords {
  const power = /(\d+)\s*W\b/.exec(words);
  const domain = /NVL\s?(\d+)/i.exec(words);
  const common = {
    ...(power === null ? {} : { powerWatts: Number(power[1]) }),
    ...(domain === null ? {} : { nvlinkDomain: Number(domain[1]) }),
  };
  const parts = words.split(/[,;+]/).map((part) => part.trim());
  const links = parts.flatMap((part) => {
    const link = parseLink(part);
    return link === undefined ? [] : [{ ...link, compute: /compute/i.test(part) }];
  });
  const compute = links.filter((link) => link.compute);
  const best = (compute.length > 0 ? compute : links).reduce<(typeof links)[number] | undefined>((top, link) => {
    return top === undefined || link.numNics * link.nicBytesPerSec > top.numNics * top.nicBytesPerSec ? link : top;
  }, undefined);
  if (best === undefined) return common;
  const { compute: _compute, ...link } = best;
  return { ...common, ...link };
}

function parseLink(
  part: string,
): Pick<Required<NetworkWords>, "numNics" | "nicBytesPerSec" | "perDevice" | "fabricType"> | undefined {
  const speed = /(\d+(?:\.\d+)?)\s*(G|T)b(?:it)?(?:ps|\/s(?:ec)?)?/i.exec(part);
  if (speed === null) return undefined;
  const numNics = /(\d+)\s*x\b|(\d+)x\d/i.exec(part);
  const bits = Number(speed[1]) * (speed[2]?.toUpperCase() === "T" ? 1e12 : 1e9);
  const fabric = /omni|infiniband|\bib\b|hdr|ndr|roce|efa|ethernet|rdma|slingshot/i.exec(part)?.[0] ?? "infiniband";
  return {
    numNics: Number(numNics?.[1] ?? numNics?.[2] ?? 1),
    nicBytesPerSec: bits / 8,
    perDevice: /per (gpu|chip|device|accelerator)/i.test(part),
    fabricType: /^(ib|hdr|ndr|rdma)$/i.test(fabric) ? "infiniband" : fabric,
  };
}

/** The cluster, or the reason why there is none. */
export function clusterOfRow(row: Row, notes: string[]): ClusterSpec | { readonly unsupported: string } {
  const accelerator = text(row, "accelerator");
  if (accelerator === undefined) return { unsupported: "the row names no accelerator" };
  const device = findDevice(accelerator);
  if (device === undefined) return { unsupported: `accelerator "${accelerator}" is not in the device catalogue` };
  const numDevices = devicesOf(row);
  if (numDevices === undefined) return { unsupported: "the row does not state its number of devices" };
  const network = parseNetwork(text(row, "network") ?? "");
  const devicesPerNode = count(row, "gpus_per_node") ?? device.node.numDevices;
  const limited = powerLimited(device, network.powerWatts, notes);
  if (/power-limited/i.test(text(row, "framework_version_or_date") ?? "") && network.powerWatts === undefined)
    notes.push("power-limited parts, limit not stated: full power assumed");
  return assembleCluster({
    name: `${numDevices}x ${device.name}`,
    device: limited,
    numDevices,
    devicesPerNode,
    ...nicFacts(network, devicesPerNode),
    ...scaleUpFacts(row, device, numDevices, network),
  });
}

function nicFacts(network: NetworkWords, devicesPerNode: number): Partial<ClusterFacts> {
  if (network.nicBytesPerSec === undefined || network.numNics === undefined) return {};
  const fabricType = network.fabricType ?? "infiniband";
  return {
    numNics: network.perDevice === true ? devicesPerNode : network.numNics,
    nicBytesPerSec: network.nicBytesPerSec,
    fabricType: linkKindOf(fabricType) === "other" ? "ethernet" : fabricType,
  };
}

/** A rack-wide NVLink domain, or the slices of a TPU job (the fabric between them is the data-centre network). */
function scaleUpFacts(
  row: Row,
  device: CatalogueEntry,
  numDevices: number,
  network: NetworkWords,
): Partial<ClusterFacts> {
  if (device.scaleUp.kind === "torus") {
    const slices = count(flagsOf(row), "dcn_slices") ?? Math.ceil(numDevices / device.scaleUp.domain);
    return { scaleUp: { domain: Math.ceil(numDevices / slices) } };
  }
  return network.nvlinkDomain === undefined ? {} : { scaleUp: { domain: network.nvlinkDomain } };
}

function powerLimited(device: CatalogueEntry, powerWatts: number | undefined, notes: string[]): CatalogueEntry {
  if (powerWatts === undefined || powerWatts >= device.tdpWatts) return device;
  notes.push(`power limit ${powerWatts} W instead of ${device.tdpWatts} W`);
  return { ...device, tdpWatts: powerWatts };
}
