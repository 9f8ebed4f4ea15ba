// Devices of one kind and their network, described as an object (YAML or JSON): a whole cluster, or one group of a mixed one (description.ts).
// Every finding is reported at once.
//
//   device: h100-sxm | {base: h100-sxm, tdp: 500W} | {name, peak, memory, memory_bandwidth, ...}
//   platform: aws-p5                       device, node size and NICs of a known machine
//   nodes: 64, gpus_per_node: 8            or gpus: 512 (alone: typical nodes)
//   nics: {count: 8, speed: 400Gb/s}       per node
//   scale_up: {kind, bandwidth, latency, domain, in_network_reduce, dims}
//   fabric: {kind: rail|fat-tree|dcn, type: infiniband|ethernet|efa|..., oversubscription, nodes_per_leaf, latency, bandwidth, in_network_reduce}
//   levels: [{name, kind, devices, bandwidth, latency, shape, dims, in_network_reduce}, ...]   explicit, innermost first
//   host: {memory, memory_bandwidth, nvme, watts},  usd_per_device_hour, name

import { collectFindings, type Finding } from "../units/errors.ts";
import { type ClusterFacts, tooManyDevices } from "./assemble.ts";
import { type CatalogueEntry, deviceByName, findPlatform, type Platform, platforms } from "./catalogue.ts";
import { deviceFromDescription } from "./deviceDescription.ts";
import { FieldReader, shown } from "./fields.ts";
import { type FabricFacts, LINK_LATENCY_SEC, linkKindOf, type ScaleUpPlan } from "./topology.ts";
import type { LinkKind, NetworkLevel } from "./types.ts";

export const FACT_KEYS = [
  "name",
  "device",
  "platform",
  "nodes",
  "gpus_per_node",
  "devices_per_node",
  "gpus",
  "devices",
  "num_devices",
  "nics",
  "scale_up",
  "fabric",
  "levels",
  "host",
  "usd_per_device_hour",
] as const;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Facts of one kind of device, or undefined with what is wrong among the findings. */
export function readFacts(
  value: unknown,
  path: string,
  findings: Finding[],
  siblings: readonly string[] = [],
): ClusterFacts | undefined {
  const reader = new FieldReader(value, path, FACT_KEYS, findings, siblings);
  const platform = readPlatform(reader);
  const device = readDevice(reader, platform);
  const perNodeGiven = either(reader, "gpus_per_node", "devices_per_node");
  const total = either(reader, "gpus", "devices", "num_devices");
  const nodes = reader.count("nodes");
  const levels = reader.has("levels") ? readLevels(reader) : undefined;
  const levelTotal = levels?.at(-1)?.numDevices;

  const typical = platform?.devicesPerNode ?? device?.node.numDevices ?? 8;
  const perNode =
    perNodeGiven ?? (nodes !== undefined && total !== undefined ? total / nodes : Math.min(typical, total ?? typical));
  let numDevices = total ?? levelTotal;
  if (nodes !== undefined) {
    const product = nodes * perNode;
    if (numDevices !== undefined && product !== numDevices) {
      reader.add(
        "nodes",
        `${nodes} nodes of ${perNode} devices are ${product} devices, but ${numDevices} are named`,
        "drop one of the three, or make them agree",
      );
    }
    numDevices = product;
  }
  if (numDevices === undefined && !["nodes", "gpus", "devices", "num_devices"].some((key) => reader.has(key)))
    reader.add("nodes", "Missing the number of nodes or devices", "give nodes and gpus_per_node, or gpus");
  if (numDevices !== undefined && !Number.isInteger(numDevices / perNode) && numDevices > perNode) {
    reader.add(
      "gpus",
      `${numDevices} devices do not fill nodes of ${perNode}`,
      `use ${Math.floor(numDevices / perNode) * perNode} or ${Math.ceil(numDevices / perNode) * perNode} devices, or give gpus_per_node`,
    );
  }
  const excess = numDevices === undefined ? undefined : tooManyDevices(numDevices);
  if (excess !== undefined) reader.add("nodes", excess);
  if (levelTotal !== undefined && numDevices !== undefined && levelTotal !== numDevices)
    reader.add(
      "levels",
      `The last level holds ${levelTotal} devices, the cluster ${numDevices}`,
      "make the last level hold all devices",
    );
  const nics = readNics(reader);
  const scaleUp = reader.has("scale_up") ? readScaleUp(reader, device) : undefined;
  const fabric = reader.has("fabric") ? readFabric(reader) : undefined;
  const host = reader.has("host") ? readHost(reader) : undefined;
  const usd = reader.quantity("usd_per_device_hour", "usd");
  if (device === undefined || numDevices === undefined || findings.length > 0) return undefined;
  const nicCount = nics.count ?? platform?.numNics;
  const nicRate = nics.speed ?? platform?.nicBytesPerSec;
  const fabricType = fabric?.type ?? platform?.fabric;
  const domain = platform?.domain;
  return {
    name: reader.text("name") ?? `${numDevices}x${device.id.replaceAll("_", "-")}`,
    device,
    numDevices,
    devicesPerNode: perNode,
    ...(nicCount === undefined ? {} : { numNics: nicCount }),
    ...(nicRate === undefined ? {} : { nicBytesPerSec: nicRate }),
    ...(fabricType === undefined ? {} : { fabricType }),
    ...(fabric === undefined ? {} : { fabric: fabric.facts }),
    ...(scaleUp === undefined && domain === undefined
      ? {}
      : { scaleUp: { ...(domain === undefined ? {} : { domain }), ...scaleUp } }),
    ...(host === undefined ? {} : { host }),
    ...(levels === undefined ? {} : { levels }),
    ...(usd === undefined ? {} : { usdPerDeviceHour: usd }),
    notes:
      Object.entries(device.source).filter(([, from]) => from.startsWith("assumed")).length > 6
        ? ["Figures of the device that were not given are assumed"]
        : [],
  };
}

function readPlatform(reader: FieldReader): Platform | undefined {
  const name = reader.text("platform");
  if (name === undefined) return undefined;
  const found = findPlatform(name);
  if (found === undefined)
    reader.add("platform", `Unknown platform "${name}"`, `use one of ${platforms.map((p) => p.id).join(", ")}`);
  return found;
}

function readDevice(reader: FieldReader, platform: Platform | undefined): CatalogueEntry | undefined {
  if (reader.has("device"))
    return collectFindings(reader.findings, () => deviceFromDescription(reader.fields.device, reader.at("device")));
  if (platform !== undefined) return deviceByName(platform.device);
  if (!reader.has("platform")) reader.add("device", "Missing the device", 'name one like "h100-sxm" or describe it');
  return undefined;
}

function either(reader: FieldReader, ...keys: readonly string[]): number | undefined {
  const found = keys.filter((key) => reader.has(key));
  const values = found.map((key) => reader.count(key));
  if (new Set(values).size > 1)
    reader.add(
      found[0] ?? "",
      `Fields ${found.join(" and ")} contradict each other: ${values.join(" and ")}`,
      "keep one of them",
    );
  return values[0];
}

export function readNics(reader: FieldReader): { count?: number; speed?: number } {
  if (!reader.has("nics")) return {};
  const inner = new FieldReader(reader.fields.nics, reader.at("nics"), ["count", "speed"], reader.findings);
  const count = inner.count("count");
  const speed = inner.positive("speed", "rate");
  return { ...(count === undefined ? {} : { count }), ...(speed === undefined ? {} : { speed }) };
}

function readScaleUp(reader: FieldReader, device: CatalogueEntry | undefined): Partial<ScaleUpPlan> {
  const inner = new FieldReader(
    reader.fields.scale_up,
    reader.at("scale_up"),
    ["kind", "type", "bandwidth", "pair_bandwidth", "latency", "domain", "in_network_reduce", "dims"],
    reader.findings,
  );
  const plan: Writable<Partial<ScaleUpPlan>> = {};
  const kind = inner.choice("kind", ["switch", "pairs", "mesh", "gcdPairs", "cubeMesh", "torus", "none"] as const);
  if (kind !== undefined) plan.kind = kind;
  const type = inner.text("type");
  if (type !== undefined) plan.link = linkKindOf(type);
  const bandwidth = inner.positive("bandwidth", "rate");
  if (bandwidth !== undefined) plan.bytesPerSec = bandwidth;
  const pair = inner.positive("pair_bandwidth", "rate");
  if (pair !== undefined) plan.pairBytesPerSec = pair;
  const latency = inner.quantity("latency", "seconds");
  if (latency !== undefined) plan.latencySec = latency;
  const domain = inner.count("domain");
  if (domain !== undefined) plan.domain = domain;
  const reduce = inner.flag("in_network_reduce");
  if (reduce !== undefined) plan.inNetworkReduce = reduce;
  const dims = readDims(inner);
  if (dims !== undefined) plan.torusDims = dims;
  if (dims !== undefined && domain === undefined) plan.domain = dims.reduce((a, b) => a * b, 1);
  // What the device has, unless the description says otherwise; figures of a link mean that there is one.
  const own = device?.scaleUp.kind ?? "none";
  const implied = dims !== undefined ? "torus" : pair !== undefined ? "gcdPairs" : "switch";
  const given = bandwidth ?? pair ?? dims;
  if (kind === undefined && own === "none" && given !== undefined) plan.kind = implied;
  const settled = plan.kind ?? own;
  if (kind === "none" && given !== undefined)
    inner.add("kind", 'Scale-up kind "none" contradicts the link that is described', "remove one of the two");
  else if (pair !== undefined && settled !== "gcdPairs")
    inner.add("pair_bandwidth", `pair_bandwidth only applies to kind "gcdPairs", not "${settled}"`, "remove it");
  else if (dims !== undefined && settled !== "torus")
    inner.add("dims", `dims only apply to kind "torus", not "${settled}"`, "remove them");
  return plan;
}

function readFabric(reader: FieldReader): { type?: string; facts: Partial<FabricFacts> } {
  const inner = new FieldReader(
    reader.fields.fabric,
    reader.at("fabric"),
    ["kind", "type", "oversubscription", "nodes_per_leaf", "pod_size", "latency", "bandwidth", "in_network_reduce"],
    reader.findings,
  );
  const facts: Writable<Partial<FabricFacts>> = {};
  const kind = inner.choice("kind", ["rail", "fat-tree", "dcn"] as const);
  if (kind !== undefined) facts.kind = kind;
  const type = inner.text("type");
  if (type !== undefined && linkKindOf(type) === "other")
    inner.add("type", `Unknown fabric "${type}"`, "use infiniband, ethernet, roce, efa, slingshot, omni-path or dcn");
  const factor = inner.quantity("oversubscription", "count");
  if (factor !== undefined && factor < 1)
    inner.add(
      "oversubscription",
      `Oversubscription ${factor} must be at least 1`,
      "1 means non-blocking, 2 means half the bandwidth above the leaves",
    );
  if (factor !== undefined) facts.oversubscription = factor;
  const leaf = either(inner, "nodes_per_leaf", "pod_size");
  if (leaf !== undefined) facts.nodesPerLeaf = leaf;
  const latency = inner.quantity("latency", "seconds");
  if (latency !== undefined) facts.latencySec = latency;
  const bandwidth = inner.positive("bandwidth", "rate");
  if (bandwidth !== undefined) facts.bytesPerSec = bandwidth;
  const reduce = inner.flag("in_network_reduce");
  if (reduce !== undefined) facts.inNetworkReduce = reduce;
  return { ...(type === undefined ? {} : { type }), facts };
}

function readHost(reader: FieldReader): NonNullable<ClusterFacts["host"]> {
  const inner = new FieldReader(
    reader.fields.host,
    reader.at("host"),
    ["memory", "memory_bandwidth", "nvme", "watts"],
    reader.findings,
  );
  const memory = inner.positive("memory", "bytes");
  const bandwidth = inner.positive("memory_bandwidth", "rate");
  const nvme = inner.positive("nvme", "rate");
  const watts = inner.quantity("watts", "watts");
  return {
    ...(memory === undefined ? {} : { hostMemoryBytes: memory }),
    ...(bandwidth === undefined ? {} : { hostMemoryBytesPerSec: bandwidth }),
    ...(nvme === undefined ? {} : { nvmeBytesPerSec: nvme }),
    ...(watts === undefined ? {} : { hostWatts: watts }),
  };
}

export const LINK_KINDS: readonly LinkKind[] = [
  "nvlink",
  "xgmi",
  "pcie",
  "infiniband",
  "ethernet",
  "ici",
  "dcn",
  "other",
];

function readLevels(reader: FieldReader): NetworkLevel[] | undefined {
  const value = reader.fields.levels;
  if (!Array.isArray(value) || value.length === 0) {
    reader.add("levels", `Expected a list of levels, got ${shown(value)}`);
    return undefined;
  }
  const before = reader.findings.length;
  const levels: NetworkLevel[] = [];
  let below = 1;
  value.forEach((item: unknown, index) => {
    const inner = new FieldReader(
      item,
      `${reader.at("levels")}[${index}]`,
      ["name", "kind", "devices", "bandwidth", "latency", "shape", "dims", "in_network_reduce"],
      reader.findings,
    );
    const numDevices = inner.count("devices");
    const bandwidth = inner.positive("bandwidth", "rate");
    const kind = inner.choice("kind", LINK_KINDS) ?? "other";
    const shape = inner.choice("shape", ["switch", "mesh", "torus", "bus"] as const) ?? "switch";
    const dims = readDims(inner);
    if (!inner.has("devices")) inner.add("devices", "Missing the number of devices inside one instance of the level");
    if (!inner.has("bandwidth")) inner.add("bandwidth", "Missing the bandwidth per device", 'write it like "50GB/s"');
    if (dims !== undefined && numDevices !== undefined && dims.reduce((a, b) => a * b, 1) !== numDevices)
      inner.add("dims", `Torus ${dims.join(" x ")} does not hold ${numDevices} devices`);
    if (numDevices !== undefined && numDevices % below !== 0)
      inner.add(
        "devices",
        `${numDevices} is not a multiple of the ${below} devices of the level inside`,
        "order the levels from the innermost out",
      );
    if (numDevices !== undefined) below = numDevices;
    levels.push({
      name: inner.text("name") ?? kind,
      kind,
      numDevices: numDevices ?? below,
      bytesPerSec: bandwidth ?? 0,
      latencySec: inner.quantity("latency", "seconds") ?? LINK_LATENCY_SEC[kind],
      shape,
      ...(shape === "torus" ? { torusDims: dims ?? [numDevices ?? below] } : {}),
      inNetworkReduce: inner.flag("in_network_reduce") ?? false,
    });
  });
  return reader.findings.length === before ? levels : undefined;
}

function readDims(reader: FieldReader): number[] | undefined {
  if (!reader.has("dims")) return undefined;
  const value = reader.fields.dims;
  const dims = typeof value === "string" ? value.split("x").map(Number) : value;
  if (Array.isArray(dims) && dims.length > 0 && dims.every((d): d is number => Number.isInteger(d) && d >= 1))
    return dims;
  reader.add("dims", `Expected side lengths, got ${shown(value)}`, 'write them like "4x4x8" or [4, 4, 8]');
  return undefined;
}
