// Writes packages/core/src/cluster/devices.json: the device and platform catalogue in base units, one source per figure.
// Usage: npx tsx scripts/buildDevices.ts [shared folder, default ../shared]
//
// Figures come from <shared>/data/devices.json; accelerators it lacks come from catalogue/devices.json (data sheets
// as remembered). What neither states is derived by the rules below and its source says "assumed".

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RawDevice } from "./catalogue/rawDevice.ts";

const shared = process.argv[2] ?? "../shared";
const out = "packages/core/src/cluster/devices.json";
const input = JSON.parse(readFileSync(join(shared, "data/devices.json"), "utf8")) as {
  sources: Record<string, string>;
  devices: Record<string, RawDevice>;
  platforms: {
    id: string;
    gpu: string;
    gpus: number;
    nics: number;
    nic_Gbps: number;
    fabric: string;
    scale_up_domain?: number;
    source: string;
  }[];
};

const supplement = JSON.parse(readFileSync(join(import.meta.dirname, "catalogue/devices.json"), "utf8")) as Record<
  string,
  RawDevice
>;

const G = 1e9;
/** Marketing gigabytes of HBM are binary on NVIDIA and AMD parts sold as 16/32/80/...: an "80 GB" H100 exposes 79.6 GiB. */
const GIB = 2 ** 30;
const MIB = 2 ** 20;

/** Parts whose marketed size is decimal or which reserve part of the last stack: GiB a program can ask for (torch's total capacity; nvidia-smi shows up to 1 % more), as remembered. */
const VISIBLE_GIB: Readonly<Record<string, number>> = {
  h100_sxm: 79.1,
  h100_pcie: 79.1,
  h800_sxm: 79.1,
  h800_pcie: 79.1,
  a100_sxm: 79.15,
  a100_pcie: 79.15,
  a800_sxm: 79.15,
  a800_pcie: 79.15,
  a100_sxm_40: 39.4,
  a100_pcie_40: 39.4,
  v100_sxm: 31.74,
  v100_pcie: 31.74,
  v100_sxm_16: 15.77,
  v100_pcie_16: 15.77,
  rtx_3090: 23.7,
  rtx_4090: 23.65,
  a6000: 47.5,
  rtx_a5000: 23.7,
  rtx_a4000: 15.7,
  h200_sxm: 139.8,
  h200_nvl: 139.8,
  gh200: 140.4,
  h20_3e: 140.4,
  b200_sxm: 178.4,
  gb200: 185,
  b300_sxm: 268.6,
  gb300: 277.6,
  h100_nvl: 93.6,
  h20: 95.6,
  h100_sxm_96: 95.6,
  l40s: 45,
  l40: 45,
  l20: 45,
  l4: 22.5,
  a40: 45,
  a10g: 22.5,
  a10: 22.5,
  t4: 15,
  rtx_pro_6000_server: 95.6,
  mi300x: 192,
  mi325x: 256,
  mi355x: 288,
};

/** Draw at full memory clock without work (P0) where it is far from the rule: a T4's GDDR6 and regulators take 26-27 of its 70 W (nvidia-smi, P0 at 0 % use). */
const IDLE_WATTS: Readonly<Record<string, number>> = { t4: 33 };
const idleFrac = 0.12; // idle draw over TDP: A100 about 55 of 400 W, H100 about 75 of 700 W (from memory)

/** Typical rental price of one device, US dollars an hour, as remembered for 2025: an assumption the user overrides. */
const PRICE: Readonly<Record<string, number>> = {
  v100_sxm: 0.6,
  a100_sxm_40: 1.3,
  a100_sxm: 1.7,
  a100_pcie: 1.5,
  h100_sxm: 2.6,
  h100_pcie: 2.2,
  h200_sxm: 3.2,
  b200_sxm: 4.8,
  gb200: 5.5,
  b300_sxm: 6,
  gb300: 6.5,
  l40s: 0.9,
  l4: 0.6,
  a10g: 1.0,
  t4: 0.35,
  rtx_4090: 0.4,
  rtx_3090: 0.22,
  a6000: 0.5,
  a40: 0.45,
  rtx_pro_6000_server: 1.8,
  gh200: 2,
  mi250x: 0.8,
  mi300x: 2.2,
  mi325x: 2.5,
  mi355x: 3.2,
  tpu_v3: 1.1,
  tpu_v4: 3.2,
  tpu_v5e: 1.2,
  tpu_v5p: 4.2,
  tpu_v6e: 2.7,
};

/** Data sheets leave these out; the figure follows from energy per operation of the generation before. */
const TDP_ASSUMED: Readonly<Record<string, number>> = { tpu_v5e: 200, tpu_v5p: 450, tpu_v6e: 300, tpu_v7: 960 };
const BOOST_ASSUMED: Readonly<Record<string, number>> = { tpu_v6e: 1750 };

function peaks(raw: RawDevice): Record<string, number> {
  const t = raw.peak_dense_TFLOPS;
  const result: Record<string, number> = {};
  for (const [key, value] of Object.entries(t)) {
    if (key === "fp4") {
      result.nvfp4 = value;
      result.mxfp4 = value;
    } else if (key === "fp8") {
      result.fp8 = value;
      result.mxfp8 = value;
      result.fp8_block = value;
    } else if (key !== "fp6") result[key] = value;
  }
  return Object.fromEntries(Object.entries(result).map(([k, v]) => [k, v * 1e12]));
}

type ScaleUpKind = "switch" | "pairs" | "mesh" | "gcdPairs" | "cubeMesh" | "torus" | "none";

function scaleUp(id: string, raw: RawDevice) {
  const link = raw.scale_up_link;
  if (link === null)
    return { kind: "none" as ScaleUpKind, type: "PCIe", bytesPerSec: raw.pcie.GBps_per_direction * G, domain: 1 };
  const type = link.type.toLowerCase();
  const kind: ScaleUpKind = type.includes("torus")
    ? "torus"
    : type.includes("pairs") || type.includes("quads")
      ? "pairs"
      : type.includes("full mesh")
        ? "mesh"
        : type === "xgmi"
          ? "gcdPairs"
          : id.startsWith("v100_sxm")
            ? "cubeMesh"
            : "switch";
  return {
    kind,
    type: link.type,
    bytesPerSec: link.GBps_per_direction * G,
    ...(link.per_link_GBps === undefined ? {} : { perLinkBytesPerSec: link.per_link_GBps * G }),
    ...(kind === "torus" ? { torusRank: type.includes("3d") ? 3 : 2 } : {}),
    // The two GCDs of one module share four links of 50 GB/s (devices.json note, from memory).
    ...(kind === "gcdPairs" ? { pairBytesPerSec: 4 * (link.per_link_GBps ?? link.GBps_per_direction) * G } : {}),
    inNetworkReduce: /NVLink (4|5)/.test(link.type) && kind === "switch",
    domain: raw.typical_node.scale_up_domain,
  };
}

function sources(id: string, raw: RawDevice): Record<string, string> {
  const from = raw.source ?? {};
  const others = from.others ?? "from memory";
  const pick = (...keys: string[]): string => keys.map((k) => from[k]).find((s) => s !== undefined) ?? others;
  const result: Record<string, string> = {
    memoryBytes:
      VISIBLE_GIB[id] === undefined
        ? pick("memory_GB", "memory")
        : `${pick("memory_GB", "memory")}; visible size from memory`,
    memoryBytesPerSec: pick("memory_GBps", "memory"),
    l2Bytes: raw.l2_MB === null ? (raw.vmem_MB === undefined ? "assumed 0" : "vector memory") : pick("l2_MB"),
    units: pick("units"),
    boostHz: raw.boost_MHz === null ? "assumed" : pick("boost_MHz"),
    tdpWatts: raw.tdp_W === null ? "assumed" : pick("tdp_W"),
    idleWatts: IDLE_WATTS[id] === undefined ? "assumed 0.12 x tdp" : "nvidia-smi at P0",
    hostLinkBytesPerSec: raw.pcie.source,
    node: raw.typical_node.source?.nics ?? "from memory",
  };
  for (const key of Object.keys(peaks(raw))) {
    const rawKey = key === "nvfp4" || key === "mxfp4" ? "fp4" : key === "mxfp8" || key === "fp8_block" ? "fp8" : key;
    result[key] = pick(rawKey, "flops");
  }
  if (raw.scale_up_link !== null) result.scaleUp = raw.scale_up_link.source;
  if (PRICE[id] !== undefined) result.priceUsdPerHour = "assumed rental price 2025";
  return result;
}

function entry(id: string, raw: RawDevice) {
  const tdp = raw.tdp_W ?? TDP_ASSUMED[id] ?? 300;
  const node = raw.typical_node;
  const bytes = VISIBLE_GIB[id] === undefined ? raw.memory_GB * GIB : VISIBLE_GIB[id] * GIB;
  return {
    id,
    name: raw.name,
    vendor: raw.vendor,
    arch: raw.arch,
    year: raw.year,
    peakFlopsPerSec: peaks(raw),
    memoryBytes: Math.round(bytes),
    memoryBytesPerSec: raw.memory_GBps * G,
    l2Bytes: Math.round((raw.l2_MB ?? raw.vmem_MB ?? 0) * MIB),
    units: raw.units,
    boostHz: (raw.boost_MHz ?? BOOST_ASSUMED[id] ?? 1500) * 1e6,
    tdpWatts: tdp,
    idleWatts: IDLE_WATTS[id] ?? Math.round(tdp * idleFrac),
    hostLinkBytesPerSec: raw.pcie.GBps_per_direction * G,
    ...(PRICE[id] === undefined ? {} : { priceUsdPerHour: PRICE[id] }),
    source: sources(id, raw),
    scaleUp: scaleUp(id, raw),
    node: {
      numDevices: node.devices_per_node,
      numNics: node.nics,
      nicBytesPerSec: (node.nic_Gbps * G) / 8,
      hostMemoryBytesPerSec: node.host_dram_GBps * G,
      nvmeBytesPerSec: (node.nvme_read_GBps ?? 3) * G,
    },
  };
}

const devices = [
  ...Object.entries(input.devices),
  ...Object.entries(supplement).filter(([id]) => !(id in input.devices)),
].map(([id, raw]) => entry(id, raw));
const platforms = input.platforms.map((p) => ({
  id: p.id,
  device: p.gpu,
  devicesPerNode: p.gpus,
  numNics: p.nics,
  nicBytesPerSec: (p.nic_Gbps * G) / 8,
  fabric: p.fabric,
  ...(p.scale_up_domain === undefined ? {} : { domain: p.scale_up_domain }),
  source: p.source,
}));
const lines = (list: readonly unknown[]): string => list.map((x) => JSON.stringify(x)).join(",\n");
writeFileSync(
  out,
  `{"provenance":"Generated by scripts/buildDevices.ts. Data-sheet figures; \\"from memory\\" = not verified, \\"assumed\\" = derived by a rule of the script.",\n"sources":${JSON.stringify(input.sources)},\n"devices":[\n${lines(devices)}\n],\n"platforms":[\n${lines(platforms)}\n]}\n`,
);
console.log(`${devices.length} devices, ${platforms.length} platforms -> ${out}`);
