// One-line clusters:
//   64xh100-sxm          64 devices in the device's typical nodes (fewer than a node: one partial node)
//   8x8xa100-80g         8 nodes of 8 devices
//   16xaws-p5            16 machines of a known platform; 16xdgx-b200, 16xhgx-h100: machines of the device's typical node
//   gb200-nvl72x2        2 racks of one 72-device NVLink domain (any -nvl<N>), nodes are trays
//   256xtpu-v5e          one slice of 256 chips; 4x256xtpu-v5p: 4 slices over the data-centre network
//   64xa100-80g+64xh100-sxm   groups of one island, in this order; islands and their links need a description

import { collectFindings, type Finding, InputError, nearestName } from "../units/errors.ts";
import { assembleCluster, type ClusterFacts, tooManyDevices } from "./assemble.ts";
import { type CatalogueEntry, deviceNames, findDevice, findPlatform, platforms } from "./catalogue.ts";
import { checkedMixed, uniqueNames } from "./mixedCheck.ts";
import type { ClusterSpec } from "./types.ts";

export function clusterFromShorthand(text: string, path = "cluster"): ClusterSpec {
  const parts = text.split("+");
  if (parts.length === 1) return assembleCluster(factsFromShorthand(text, path));
  const findings: Finding[] = [];
  if (parts.some((part) => part.trim() === ""))
    findings.push({
      path,
      message: `Nothing stands beside a "+" of cluster "${text}"`,
      hint: 'write it like "32xa100-80g+32xh100-sxm"',
    });
  const named = parts.filter((part) => part.trim() !== "");
  const all = named.map((part) => collectFindings(findings, () => factsFromShorthand(part, path)));
  const known = all.filter((facts) => facts !== undefined);
  if (findings.length > 0) throw new InputError(findings);
  const names = uniqueNames(known.map((facts) => facts.device.id.replaceAll("_", "-")));
  const groups = known.map((facts, i) => ({ name: names[i]!, island: "main", facts }));
  return checkedMixed({ name: text.trim(), groups, links: [], notes: [] }, path);
}

/** Facts of one kind of device: a part of a shorthand, between its plus signs. */
export function factsFromShorthand(text: string, path: string): ClusterFacts {
  const fail = (message: string, hint?: string): never => {
    const finding: Finding = hint === undefined ? { path, message } : { path, message, hint };
    throw new InputError(finding);
  };
  const trimmed = text.trim();
  const racks = /^(.+?)-nvl(\d+)(?:x(\d+))?$/i.exec(trimmed);
  if (racks !== null && !/^\d+x/.test(trimmed)) {
    const device = findDevice(racks[1] ?? "");
    if (device === undefined)
      return fail(`Unknown device "${racks[1]}" in cluster "${text}"`, suggestion(racks[1] ?? ""));
    const domain = Number(racks[2]);
    const count = Number(racks[3] ?? 1);
    if (domain < 1 || count < 1) return fail(`Cluster "${text}" has no devices`, "use a count of at least 1");
    const excess = tooManyDevices(domain * count);
    if (excess !== undefined) return fail(`Cluster "${text}": ${excess}`);
    const perNode = domain % device.node.numDevices === 0 ? device.node.numDevices : domain;
    return {
      name: trimmed,
      device,
      numDevices: domain * count,
      devicesPerNode: perNode,
      scaleUp: { kind: "switch", domain },
    };
  }
  const match = /^(?:(\d+)\s*[x*]\s*)?(?:(\d+)\s*[x*]\s*)?(.+)$/i.exec(trimmed);
  const name = match?.[3] ?? "";
  const first = match?.[1] === undefined ? 1 : Number(match[1]);
  const second = match?.[2] === undefined ? undefined : Number(match[2]);
  if (name === "") return fail("Cluster is empty", 'write it like "64xh100-sxm"');
  if (first < 1 || (second !== undefined && second < 1))
    return fail(`Cluster "${text}" has no devices`, "use counts of at least 1");

  const excess = tooManyDevices(first * (second ?? 1));
  if (excess !== undefined) return fail(`Cluster "${text}": ${excess}`);

  const platform = findPlatform(name);
  // A rack-scale platform shares its name with the device (gb200-nvl72): counts of it are devices.
  if (platform !== undefined && platform.domain === undefined) {
    if (second !== undefined && second !== platform.devicesPerNode)
      return fail(
        `"${name}" has ${platform.devicesPerNode} devices per machine, not ${second}`,
        `write "${first}x${name}"`,
      );
    const device = findDevice(platform.device) as CatalogueEntry; // platforms name catalogue ids; catalogue.test.ts holds it so
    return {
      name: trimmed,
      device,
      numDevices: first * platform.devicesPerNode,
      devicesPerNode: platform.devicesPerNode,
      numNics: platform.numNics,
      nicBytesPerSec: platform.nicBytesPerSec,
      fabricType: platform.fabric,
    };
  }

  const device = findDevice(name);
  if (device === undefined) return fail(`Unknown device "${name}" in cluster "${text}"`, suggestion(name));
  if (/^(dgx|hgx)/i.test(name) && second === undefined) {
    const perMachine = device.node.numDevices;
    return { name: trimmed, device, numDevices: first * perMachine, devicesPerNode: perMachine };
  }
  if (second !== undefined) {
    // Slices of a torus are larger than a host; elsewhere the second number is the node.
    if (device.scaleUp.kind === "torus" && second > device.node.numDevices) {
      return {
        name: trimmed,
        device,
        numDevices: first * second,
        devicesPerNode: device.node.numDevices,
        scaleUp: { domain: second },
      };
    }
    return { name: trimmed, device, numDevices: first * second, devicesPerNode: second };
  }
  const perNode = device.node.numDevices;
  if (first > perNode && first % perNode !== 0) {
    const below = first - (first % perNode);
    return fail(
      `Cluster "${text}": ${first} devices do not fill nodes of ${perNode}`,
      `use ${below} or ${below + perNode} devices, or name the node size like "${Math.ceil(first / perNode)}x${perNode}x${name}"`,
    );
  }
  return { name: trimmed, device, numDevices: first, devicesPerNode: Math.min(first, perNode) };
}

function suggestion(name: string): string {
  const near = nearestName(name, [...deviceNames(), ...platforms.map((p) => p.id)]);
  return near === undefined ? 'write it like "64xh100-sxm" or describe the device inline' : `did you mean "${near}"`;
}
