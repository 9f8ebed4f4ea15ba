// Devices described inline by the user: a name from the catalogue with overrides (`base`), or figures of a new part.
// Required for a new part: a matrix peak, memory size and memory bandwidth. The rest is derived by the rules below and
// each derived figure says "assumed" in `source`.

import type { DType } from "../units/dtype.ts";
import { collectFindings, type Finding, InputError } from "../units/errors.ts";
import { type CatalogueEntry, deviceByName, type ScaleUpFacts, type TypicalNode } from "./catalogue.ts";
import { FieldReader, isFields, shown } from "./fields.ts";
import { readDispatchAfter, readInterruptions } from "./ownWork.ts";
import { linkKindOf } from "./topology.ts";

const DEVICE_KEYS = [
  "base",
  "id",
  "name",
  "vendor",
  "arch",
  "year",
  "peak",
  "memory",
  "memory_bandwidth",
  "l2",
  "units",
  "boost",
  "tdp",
  "idle",
  "host_link",
  "dispatch",
  "dispatch_after",
  "interruptions",
  "price_usd_per_hour",
  "scale_up",
] as const;
const DTYPES: readonly DType[] = [
  "fp64",
  "fp32",
  "tf32",
  "bf16",
  "fp16",
  "fp8",
  "mxfp8",
  "fp8_block",
  "nvfp4",
  "mxfp4",
  "int8",
  "int4",
  "int32",
];
const SCALE_UP_KINDS = ["switch", "pairs", "mesh", "gcdPairs", "cubeMesh", "torus", "none"] as const;

/** A catalogue name, or an object such as `{base: "h100-sxm", tdp: "500W"}` or `{name: "X1", peak: {bf16: "400TFLOP/s"}, memory: "64GiB", memory_bandwidth: "2TB/s"}`. */
export function deviceFromDescription(value: unknown, path = "device"): CatalogueEntry {
  if (typeof value === "string") return deviceByName(value, path);
  const findings: Finding[] = [];
  const device = readDevice(value, path, findings);
  if (device === undefined || findings.length > 0) throw new InputError(findings);
  return device;
}

function readDevice(value: unknown, path: string, findings: Finding[]): CatalogueEntry | undefined {
  const reader = new FieldReader(value, path, DEVICE_KEYS, findings);
  const baseName = reader.text("base");
  const base =
    baseName === undefined ? undefined : collectFindings(findings, () => deviceByName(baseName, reader.at("base")));
  const source: Record<string, string> = { ...base?.source };
  const given = <T>(key: string, found: T | undefined): T | undefined => {
    if (found !== undefined) source[key] = "given by the user";
    return found;
  };
  const assumed = (key: string, found: number): number => {
    if (base === undefined) source[key] = "assumed";
    return found;
  };
  const peaks = readPeaks(reader, base, source);
  const memoryBytes = given("memoryBytes", reader.positive("memory", "bytes")) ?? base?.memoryBytes;
  const memoryBytesPerSec =
    given("memoryBytesPerSec", reader.positive("memory_bandwidth", "rate")) ?? base?.memoryBytesPerSec;
  if (Object.keys(peaks).length === 0 && !reader.has("peak"))
    reader.add("peak", "Missing peak rate of the matrix units", 'give peak: {bf16: "400TFLOP/s"} or base: "h100-sxm"');
  if (memoryBytes === undefined && !reader.has("memory"))
    reader.add("memory", "Missing memory size", 'write it like "80GiB"');
  if (memoryBytesPerSec === undefined && !reader.has("memory_bandwidth"))
    reader.add("memory_bandwidth", "Missing memory bandwidth", 'write it like "3.35TB/s"');
  const best = Math.max(peaks.bf16 ?? 0, peaks.fp16 ?? 0, peaks.tf32 ?? 0, peaks.fp32 ?? 0);
  // Across catalogue parts of 2020-2025 one unit gives 2 to 17 TFLOP/s and one watt about 1.4 TFLOP/s of dense bf16.
  const units =
    given("units", reader.count("units")) ?? base?.units ?? assumed("units", Math.max(1, Math.round(best / 7e12)));
  const tdpWatts =
    given("tdpWatts", reader.positive("tdp", "watts")) ??
    base?.tdpWatts ??
    assumed("tdpWatts", Math.max(50, Math.round(best / 1.4e12)));
  const hostLink =
    given("hostLinkBytesPerSec", reader.positive("host_link", "rate")) ??
    base?.hostLinkBytesPerSec ??
    assumed("hostLinkBytesPerSec", 31.5e9);
  const dispatchSec = given("dispatchSec", reader.quantity("dispatch", "seconds")) ?? base?.dispatchSec;
  const dispatchAfter = given("dispatchAfter", readDispatchAfter(reader)) ?? base?.dispatchAfter;
  const interruptions = given("interruptions", readInterruptions(reader)) ?? base?.interruptions;
  const scaleUp = readScaleUp(reader, base, hostLink, source);
  const name = reader.text("name") ?? base?.name ?? "custom device";
  const priceUsdPerHour =
    given("priceUsdPerHour", reader.quantity("price_usd_per_hour", "usd")) ?? base?.priceUsdPerHour;
  const node: TypicalNode = base?.node ?? {
    numDevices: 8,
    numNics: 8,
    nicBytesPerSec: 25e9,
    hostMemoryBytesPerSec: 400e9,
    nvmeBytesPerSec: 14e9,
  };
  if (base === undefined) source.node = "assumed";
  if (memoryBytes === undefined || memoryBytesPerSec === undefined) return undefined;
  const touched =
    isFields(value) &&
    Object.keys(value).some((key) => key !== "base" && key !== "price_usd_per_hour" && key !== "priceUsdPerHour");
  return {
    // A changed part is not the catalogue's part, but keeps its id when only the price differs so that measured tables apply.
    id:
      reader.text("id") ??
      (base !== undefined && !touched
        ? base.id
        : idOf(reader.text("name") ?? (base === undefined ? name : `${base.id}_custom`))),
    name,
    vendor: reader.text("vendor") ?? base?.vendor ?? "unknown",
    arch: reader.text("arch") ?? base?.arch ?? "unknown",
    year: reader.count("year") ?? base?.year ?? 2025,
    peakFlopsPerSec: peaks,
    memoryBytes,
    memoryBytesPerSec,
    l2Bytes: given("l2Bytes", reader.quantity("l2", "bytes")) ?? base?.l2Bytes ?? assumed("l2Bytes", 40 * 2 ** 20),
    units,
    boostHz: given("boostHz", reader.positive("boost", "hertz")) ?? base?.boostHz ?? assumed("boostHz", 1.7e9),
    tdpWatts,
    idleWatts:
      given("idleWatts", reader.quantity("idle", "watts")) ??
      base?.idleWatts ??
      assumed("idleWatts", Math.round(tdpWatts * 0.12)),
    hostLinkBytesPerSec: hostLink,
    ...(dispatchSec === undefined ? {} : { dispatchSec }),
    ...(dispatchAfter === undefined ? {} : { dispatchAfter }),
    ...(interruptions === undefined ? {} : { interruptions }),
    ...(priceUsdPerHour === undefined ? {} : { priceUsdPerHour }),
    ...(base === undefined ? {} : { basedOn: base.id }),
    source,
    scaleUp,
    node,
  };
}

function readPeaks(
  reader: FieldReader,
  base: CatalogueEntry | undefined,
  source: Record<string, string>,
): Partial<Record<DType, number>> {
  const peaks: Partial<Record<DType, number>> = { ...base?.peakFlopsPerSec };
  if (!reader.has("peak")) return peaks;
  const value = reader.fields.peak;
  if (!isFields(value)) {
    reader.add(
      "peak",
      `Expected rates by number format, got ${shown(value)}`,
      'write it like {bf16: "400TFLOP/s", fp8: "800TFLOP/s"}',
    );
    return peaks;
  }
  const inner = new FieldReader(value, reader.at("peak"), DTYPES, reader.findings);
  for (const dtype of DTYPES) {
    const rate = inner.positive(dtype, "flopRate");
    if (rate === undefined) continue;
    peaks[dtype] = rate;
    source[dtype] = "given by the user";
  }
  // The 16-bit formats run at one rate on every matrix unit of the catalogue that has both; block formats at their plain rate.
  const twin = (to: DType, from: DType): void => {
    if (peaks[to] === undefined && peaks[from] !== undefined) {
      peaks[to] = peaks[from];
      source[to] = `assumed equal to ${from}`;
    }
  };
  twin("bf16", "fp16");
  twin("fp16", "bf16");
  twin("fp8_block", "fp8");
  twin("mxfp8", "fp8");
  return peaks;
}

function readScaleUp(
  reader: FieldReader,
  base: CatalogueEntry | undefined,
  hostLink: number,
  source: Record<string, string>,
): ScaleUpFacts {
  const none: ScaleUpFacts = { kind: "none", type: "PCIe", bytesPerSec: hostLink, domain: 1 };
  if (!reader.has("scale_up")) {
    if (base === undefined) source.scaleUp = "assumed: no scale-up link";
    return base?.scaleUp ?? none;
  }
  const inner = new FieldReader(
    reader.fields.scale_up,
    reader.at("scale_up"),
    ["kind", "type", "bandwidth", "per_link", "domain", "in_network_reduce"],
    reader.findings,
  );
  const facts = base?.scaleUp ?? none;
  source.scaleUp = "given by the user";
  const type = inner.text("type") ?? facts.type;
  const perLink = inner.positive("per_link", "rate") ?? facts.perLinkBytesPerSec;
  const bandwidth = inner.positive("bandwidth", "rate");
  const kind =
    inner.choice("kind", SCALE_UP_KINDS) ??
    // A bandwidth between devices means that something joins them.
    (facts.kind === "none" && (bandwidth !== undefined || linkKindOf(type) !== "pcie") ? "switch" : facts.kind);
  if (kind === "none" && bandwidth !== undefined)
    inner.add("bandwidth", 'A bandwidth contradicts scale-up kind "none"', "remove one of the two");
  return {
    ...facts,
    kind,
    type,
    bytesPerSec: bandwidth ?? facts.bytesPerSec,
    ...(perLink === undefined ? {} : { perLinkBytesPerSec: perLink }),
    inNetworkReduce: inner.flag("in_network_reduce") ?? facts.inNetworkReduce ?? false,
    domain: inner.count("domain") ?? (facts.domain > 1 ? facts.domain : 8),
  };
}

function idOf(name: string): string {
  return name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_|_$/g, "");
}
