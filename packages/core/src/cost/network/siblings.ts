// A collective on links that no table covers, from the measured systems that resemble it.
//
// A collective is start-up plus wire time. Wire time scales with the link, so a curve of the same kind of link is read at sizes scaled by the ratio of rates.
// Start-up is a chain of instructions, flags and fences in the device: it goes with the clock and with the number of dies that a fence crosses, not with the
// rate or kind of link (two ranks start after 10,000 cycles over an H100's NVLink, 13,000 to 14,000 on A100 and over PCIe, 17,000 on the two dies of a B200), so
// systems with other links have a say in it too. Both are means of logarithms with weights by inverse distance; a twin answers alone.

import { findDevice } from "../../cluster/catalogue.ts";
import type { DeviceSpec, NetworkLevel } from "../../cluster/types.ts";
import { reachableBytesPerSec } from "./analytic.ts";
import { IN_NETWORK_MIN_RANKS, RING_EFFICIENCY } from "./params.ts";
import { type Ask, curvesMicros, type Estimate, type FoundCurves, findCurves } from "./systemCurves.ts";
import type { MeasuredSystem, NetworkTables, TableDType } from "./tables.ts";

/** The group that asks: its link as one device reaches it, and what runs over it. */
interface Group {
  readonly device: DeviceSpec;
  readonly level: NetworkLevel;
  readonly ask: Ask;
  readonly bridged: boolean;
  readonly bytesPerSec: number;
}

/** A measured system that resembles the group. */
interface Relative {
  readonly system: MeasuredSystem;
  readonly curves: FoundCurves;
  /** 0 = a twin: differences of link rate, vendor, generation, reach and kind of all-reduce, in log units or alike. */
  readonly distance: number;
}

interface Voice extends Relative {
  readonly weight: number;
  /** Its own start-up, microseconds. */
  readonly startMicros: number;
  /** Its clock over the group's. */
  readonly clockRatio: number;
  /** Bytes on its link that take as long as one byte on the group's. */
  readonly sizeScale: number;
}

interface Siblings {
  /** Systems with the same kind of link, nearest first. */
  readonly wires: readonly Voice[];
  /** Microseconds the group takes to start, or undefined where no system can say. */
  readonly startMicros: number | undefined;
}

const WEIGHT_POWER = 4;
/** Even a twin is another machine. */
const LEAST_DISTANCE = 0.05;
const MAX_VOICES = 4;
/** A voice with less than this of the nearest one's weight is not heard. */
const LEAST_WEIGHT = 0.02;
/** Another kind of link, or another number of dies, when only start-up is asked for. */
const OTHER_LINK = 0.5;
const OTHER_DIES = 0.5;
/** Bytes at which a curve shows nothing but its start-up and noise: the longest is taken, so that what is longer is wire. */
const START_BYTES = [512, 1024, 2048];
/** Share of a curve that stays when its start-up is exchanged. */
const LEAST_PART = 0.2;

/** Estimate from siblings, or undefined where none resembles. */
export function siblingEstimate(
  tables: NetworkTables,
  device: DeviceSpec,
  inner: readonly NetworkLevel[],
  ask: Ask,
  hopMicros: number,
): Estimate | undefined {
  const { wires, startMicros } = siblingsOf(tables, groupOf(device, inner, ask), hopMicros);
  const nearest = wires[0];
  if (nearest === undefined) return undefined;
  const answers = wires.map((voice) => {
    const own = curvesMicros(voice.curves, ask.ranks, ask.sizeBytes * voice.sizeScale, hopMicros).micros;
    if (startMicros === undefined) return { micros: own, weight: voice.weight };
    const wireMicros = Math.max(0, own - voice.startMicros);
    return { micros: Math.max(startMicros + wireMicros, LEAST_PART * own), weight: voice.weight };
  });
  // Held-out devices: 5 % mean error from a near twin, 15 to 21 % across generations (docs/cost-network.md).
  return {
    durationSec: weightedMedian(answers) * 1e-6,
    source: "sibling",
    relStd: Math.min(0.35, 0.07 + 0.15 * nearest.distance),
  };
}

function groupOf(device: DeviceSpec, inner: readonly NetworkLevel[], ask: Ask): Group {
  const level = inner.at(-1)!;
  const bridged = inner.length > 1 && inner[0]!.name === "bridge";
  return { device, level, ask, bridged, bytesPerSec: reachableBytesPerSec(level, ask.ranks) };
}

/** The middle answer, so that one system with an old kernel does not count. */
function weightedMedian(answers: { readonly micros: number; readonly weight: number }[]): number {
  const sorted = answers.sort((a, b) => a.micros - b.micros);
  let below = 0;
  for (const { micros: value, weight } of sorted) {
    below += weight;
    if (below >= 0.5) return value;
  }
  return sorted.at(-1)!.micros;
}

/** Choices already made: they depend on the link and the group, not on the size. */
const chosen = new WeakMap<NetworkTables, Map<string, Siblings>>();

function siblingsOf(tables: NetworkTables, group: Group, hopMicros: number): Siblings {
  let made = chosen.get(tables);
  if (made === undefined) {
    made = new Map();
    chosen.set(tables, made);
  }
  const { device, level, ask, bridged, bytesPerSec } = group;
  const key = `${device.vendor}|${device.arch}|${device.boostHz}|${level.kind}|${level.shape}|${level.inNetworkReduce}|${level.numDevices}|${level.latencySec}|${bytesPerSec}|${bridged}|${ask.op}|${ask.ranks}|${ask.backend}|${ask.dtype}`;
  let found = made.get(key);
  if (found === undefined) {
    found = chooseSiblings(tables, group, hopMicros);
    made.set(key, found);
  }
  return found;
}

function chooseSiblings(tables: NetworkTables, group: Group, hopMicros: number): Siblings {
  const { ask, bridged } = group;
  const dtype = dtypeOf(group);
  const wires: Relative[] = [];
  const starts: Relative[] = [];
  for (const system of tables.systems) {
    const curves = findCurves(tables, system.id, { ...ask, dtype }, system.rowsOnly);
    if (curves === undefined) continue;
    const rate = Math.abs(Math.log(rateOf(system, bridged) / group.bytesPerSec));
    const sameLink = bridged ? system.shape === "mesh" && system.link === "nvlink" : alike(system, group);
    if (sameLink) wires.push({ system, curves, distance: likeness(tables, group, system, curves.standIn) + rate });
    // Peculiar PCIe boxes are so in bandwidth; elsewhere a peculiar system's times include waiting, which is no start-up.
    const starting = (system.typical || system.link === "pcie") && (sameLink || ask.backend === "nccl");
    if (!bridged && !curves.standIn && starting)
      starts.push({ system, curves, distance: startDistance(system, group.device, sameLink) });
  }
  const startVoices = voices(starts, group, hopMicros);
  const logStart = startVoices.reduce(
    (sum, { weight, startMicros, clockRatio }) => sum + weight * Math.log(startMicros * clockRatio),
    0,
  );
  return {
    wires: voices(wires, group, hopMicros),
    startMicros: startVoices.length === 0 ? undefined : Math.exp(logStart),
  };
}

function voices(found: readonly Relative[], group: Group, hopMicros: number): readonly Voice[] {
  if (found.length === 0) return [];
  const near = [...found].sort((a, b) => a.distance - b.distance).slice(0, MAX_VOICES);
  const weightOf = ({ distance }: Relative): number =>
    (((near[0] as Relative).distance + LEAST_DISTANCE) / (distance + LEAST_DISTANCE)) ** WEIGHT_POWER;
  const heard = near.filter((relative) => weightOf(relative) >= LEAST_WEIGHT);
  const total = heard.reduce((sum, relative) => sum + weightOf(relative), 0);
  return heard.map((relative) => {
    const starts = START_BYTES.map((size) => curvesMicros(relative.curves, group.ask.ranks, size, hopMicros).micros);
    return {
      ...relative,
      weight: weightOf(relative) / total,
      startMicros: Math.max(...starts),
      clockRatio: (findDevice(relative.system.deviceId)?.boostHz ?? group.device.boostHz) / group.device.boostHz,
      sizeScale: sizeScale(relative.system, group),
    };
  });
}

/** Distance in everything but the rate of the link. */
function likeness(
  tables: NetworkTables,
  { device, level, ask }: Group,
  system: MeasuredSystem,
  standIn: boolean,
): number {
  const reach =
    tables.find({ system: system.id, op: ask.op, backend: ask.backend, dtype: "float", numNodes: 1 })?.ranks.at(-1) ??
    2;
  return (
    (system.typical ? 0 : 1) +
    (standIn ? 2.5 : 0) +
    kinship(system.deviceId, device) +
    0.6 * Math.max(0, Math.log2(ask.ranks / reach)) +
    (level.inNetworkReduce === (system.shape === "switch" && system.bytesPerSec >= 440e9) ? 0 : 0.5)
  );
}

/** Distance in what start-up depends on, the clock apart. */
function startDistance(system: MeasuredSystem, device: DeviceSpec, sameLink: boolean): number {
  const sameDies = hasTwoDies(findDevice(system.deviceId)?.arch) === hasTwoDies(device.arch);
  return kinship(system.deviceId, device) + (sameLink ? 0 : OTHER_LINK) + (sameDies ? 0 : OTHER_DIES);
}

/** NVIDIA's datacentre Blackwell is two dies (Blackwell architecture brief, 2024); parts with a chip number (GB202, GB10) are one. */
function hasTwoDies(arch: string | undefined): boolean {
  return arch !== undefined && /^Blackwell(?! GB\d)/.test(arch);
}

/** The library differs with the vendor and, less, with the generation of the part. */
function kinship(systemDevice: string, device: DeviceSpec): number {
  const other = findDevice(systemDevice);
  const family = (arch: string | undefined): string | undefined => arch?.split(" ")[0];
  const generation = other?.arch === device.arch ? 0 : family(other?.arch) === family(device.arch) ? 0.1 : 0.3;
  return (other?.vendor === device.vendor ? 0 : 0.8) + generation;
}

/** The switch reduces only where it can; elsewhere an integer curve of a switched system shows the ring. */
function dtypeOf({ level, ask }: Group): TableDType {
  const rings = level.shape === "mesh" || (!level.inNetworkReduce && ask.op === "allReduce");
  return rings && ask.ranks >= IN_NETWORK_MIN_RANKS ? "int8" : ask.dtype;
}

/** Bytes on the sibling's link that take as long as one byte on the group's. */
function sizeScale(system: MeasuredSystem, { level, bridged, bytesPerSec }: Group): number {
  const efficiency =
    level.kind === system.link || bridged ? 1 : RING_EFFICIENCY[level.kind] / RING_EFFICIENCY[system.link];
  return rateOf(system, bridged) / (bytesPerSec * efficiency);
}

/** PCIe numbers of a bridged box scale with its host link, which both such tables name through the device generation. */
function rateOf(system: MeasuredSystem, bridged: boolean): number {
  return bridged ? (system.deviceId === "h100_pcie" ? 63e9 : 31.5e9) : system.bytesPerSec;
}

function alike(system: MeasuredSystem, { device, level }: Group): boolean {
  if (level.shape === "torus") return false;
  // What peers can do over a PCIe host is the host's affair, and the library's (NCCL, oneCCL): peculiar ones say nothing of others.
  if (level.kind === "pcie")
    return system.link === "pcie" && system.typical && findDevice(system.deviceId)?.vendor === device.vendor;
  if (level.kind === "xgmi" && level.bytesPerSec < 200e9) return system.link === "xgmi";
  return system.link === "nvlink" && system.shape === "switch";
}
