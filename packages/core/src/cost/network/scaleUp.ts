// Price of a collective inside one scale-up domain or node: own table, else a sibling's table with sizes scaled by the
// ratio of link rates (same start-up, same wire time for proportionally more bytes), else the analytic model.

import { findDevice } from "../../cluster/catalogue.ts";
import type { ClusterSpec, DeviceSpec, NetworkLevel } from "../../cluster/types.ts";
import type { CollectiveOp, CollectiveQuery, CostSource } from "../types.ts";
import { levelSec, reachableBytesPerSec } from "./analytic.ts";
import { IN_NETWORK_MIN_RANKS, RING_EFFICIENCY } from "./params.ts";
import { rankMicros } from "./rankInterpolation.ts";
import type { MeasuredSystem, NetworkTables, RankCurves, TableBackend, TableDType } from "./tables.ts";

export interface Estimate {
  readonly durationSec: number;
  readonly source: CostSource;
  /** Where the trust differs from that of the source: a distant sibling. */
  readonly relStd?: number;
}

/** One collective among `ranks` ranks inside a node, with the backend and number format of the tables. */
export interface Ask {
  readonly op: CollectiveOp;
  readonly sizeBytes: number;
  readonly ranks: number;
  readonly backend: TableBackend;
  readonly dtype: TableDType;
}

/** How an operation without its own curves follows from another one: same links, same traffic. */
const STAND_IN: Readonly<
  Partial<
    Record<
      CollectiveOp,
      readonly {
        readonly op: CollectiveOp;
        readonly sizeFactor: (ranks: number) => number;
        readonly timeFactor: number;
      }[]
    >
  >
> = {
  // One phase of the two-phase all-reduce.
  allGather: [{ op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 }],
  reduceScatter: [{ op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 }],
  // A root's ring sends the buffer once; an all-gather sends (n-1)/n of it.
  broadcast: [
    { op: "allGather", sizeFactor: (n) => n / (n - 1), timeFactor: 1 },
    { op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 },
  ],
  allToAll: [
    { op: "allGather", sizeFactor: () => 1, timeFactor: 1 },
    { op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 },
  ],
  // Two ranks of an all-to-all send half their buffer each, both directions at once.
  sendRecv: [{ op: "allToAll", sizeFactor: () => 2, timeFactor: 1 }],
};

/** Microseconds on one measured system, operations without curves by their stand-in; `avoid`: operations whose curves must not be used. */
export function systemMicros(
  tables: NetworkTables,
  system: string,
  ask: Ask,
  hopMicros: number,
  avoid: readonly CollectiveOp[] = [],
): { micros: number; direct: boolean; standIn: boolean } | undefined {
  const find = (op: CollectiveOp): RankCurves | undefined =>
    avoid.includes(op)
      ? undefined
      : (tables.find({ system, op, backend: ask.backend, dtype: ask.dtype, numNodes: 1 }) ??
        (ask.dtype === "int8"
          ? tables.find({ system, op, backend: ask.backend, dtype: "float", numNodes: 1 })
          : undefined));
  const own = find(ask.op);
  if (own !== undefined) return { ...rankMicros(own, ask.op, ask.ranks, ask.sizeBytes, hopMicros), standIn: false };
  for (const other of STAND_IN[ask.op] ?? []) {
    const table = find(other.op);
    if (table === undefined) continue;
    return {
      micros:
        rankMicros(table, other.op, ask.ranks, ask.sizeBytes * other.sizeFactor(ask.ranks), hopMicros).micros *
        other.timeFactor,
      direct: false,
      standIn: true,
    };
  }
  return undefined;
}

/** The table question behind a query. Custom kernels exist for all-reduce only; large sizes fall back to NCCL in the tables themselves. */
export function askOf(query: Pick<CollectiveQuery, "op" | "sizeBytes" | "backend">, ranks: number): Ask {
  return {
    op: query.op,
    sizeBytes: query.sizeBytes,
    ranks,
    backend: query.backend === "custom" && query.op === "allReduce" ? "vllm_custom" : "nccl",
    dtype: "float",
  };
}

/** Collective among devices of one node or scale-up domain; `inner` are its levels as far as the group reaches. */
export function scaleUpEstimate(
  tables: NetworkTables,
  cluster: ClusterSpec,
  inner: readonly NetworkLevel[],
  ask: Ask,
  algorithm: CollectiveQuery["algorithm"] = "auto",
): Estimate {
  const level = inner.at(-1)!;
  const { op, ranks, backend } = ask;
  if (algorithm !== "auto")
    return { durationSec: levelSec(level, op, ask.sizeBytes, ranks, algorithm), source: "analytic" };
  const hopMicros = level.latencySec * 1e6;
  const own = tables.systems
    .filter((s) => s.deviceId === cluster.device.id)
    .sort((a, b) => Number(b.typical) - Number(a.typical));
  for (const system of own) {
    if (Math.abs(system.bytesPerSec / level.bytesPerSec - 1) > 0.02 && system.shape === "switch") continue; // the user changed the links
    const usedOp = system.rowsOnly?.includes(op) ? "allReduce" : op;
    const counts = tables.find({ system: system.id, op: usedOp, backend, dtype: "float", numNodes: 1 })?.ranks;
    if (counts === undefined || ranks > counts.at(-1)!) continue; // beyond its counts a sibling with more ranks may know better
    const found = systemMicros(tables, system.id, ask, hopMicros, system.rowsOnly);
    if (found !== undefined)
      return { durationSec: found.micros * 1e-6, source: found.direct ? "table" : "interpolated" };
  }
  const sibling = siblingEstimate(tables, cluster.device, inner, ask, hopMicros);
  return sibling ?? { durationSec: levelSec(level, op, ask.sizeBytes, ranks, "auto"), source: "analytic" };
}

/** The nearest measured system of the same kind of link, sizes scaled by link rate. */
function siblingEstimate(
  tables: NetworkTables,
  device: DeviceSpec,
  inner: readonly NetworkLevel[],
  ask: Ask,
  hopMicros: number,
): Estimate | undefined {
  const level = inner.at(-1)!;
  const bridged = inner.length > 1 && inner[0]!.name === "bridge";
  const rate = reachableBytesPerSec(level, ask.ranks);
  // The switch reduces only where it can; elsewhere an integer curve of a switched system shows the ring.
  const rings = level.shape === "mesh" || (!level.inNetworkReduce && ask.op === "allReduce");
  const choice = chosenSibling(tables, device, inner, ask, bridged, rate);
  if (choice === undefined) return undefined;
  const best = choice.system;
  const efficiency = level.kind === best.link || bridged ? 1 : RING_EFFICIENCY[level.kind] / RING_EFFICIENCY[best.link];
  const scale = rateOf(best, bridged) / (rate * efficiency);
  const dtype: TableDType = rings && ask.ranks >= IN_NETWORK_MIN_RANKS ? "int8" : ask.dtype;
  const found = systemMicros(
    tables,
    best.id,
    { ...ask, sizeBytes: ask.sizeBytes * scale, dtype },
    hopMicros,
    best.rowsOnly,
  );
  if (found === undefined) return undefined;
  // Held-out devices: 4 % mean error from a near twin, 20 to 40 % across generations (docs/cost-network.md).
  return { durationSec: found.micros * 1e-6, source: "sibling", relStd: Math.min(0.35, 0.07 + 0.15 * choice.distance) };
}

/** Choices already made: the choice depends on the link and the group, not on the size. */
const chosen = new WeakMap<NetworkTables, Map<string, Sibling | undefined>>();

interface Sibling {
  readonly system: MeasuredSystem;
  /** 0 = a twin: differences of link rate, vendor, generation, reach and kind of all-reduce, in log units or alike. */
  readonly distance: number;
}

function chosenSibling(
  tables: NetworkTables,
  device: DeviceSpec,
  inner: readonly NetworkLevel[],
  ask: Ask,
  bridged: boolean,
  rate: number,
): Sibling | undefined {
  const level = inner.at(-1)!;
  let made = chosen.get(tables);
  if (made === undefined) {
    made = new Map();
    chosen.set(tables, made);
  }
  const key = `${device.vendor}|${device.arch}|${level.kind}|${level.shape}|${level.inNetworkReduce}|${level.numDevices}|${rate}|${bridged}|${ask.op}|${ask.ranks}|${ask.backend}`;
  if (made.has(key)) return made.get(key);
  let best: Sibling | undefined;
  for (const system of tables.systems) {
    if (bridged ? system.shape !== "mesh" || system.link !== "nvlink" : !alike(system, level)) continue;
    const has = systemMicros(tables, system.id, ask, level.latencySec * 1e6, system.rowsOnly);
    if (has === undefined) continue;
    const reach =
      tables.find({ system: system.id, op: ask.op, backend: ask.backend, dtype: "float", numNodes: 1 })?.ranks.at(-1) ??
      2;
    const distance =
      Math.abs(Math.log(rateOf(system, bridged) / rate)) +
      (system.typical ? 0 : 1) +
      (has.standIn ? 2.5 : 0) +
      kinship(system.deviceId, device) +
      0.6 * Math.max(0, Math.log2(ask.ranks / reach)) +
      (level.inNetworkReduce === (system.shape === "switch" && system.bytesPerSec >= 440e9) ? 0 : 0.5);
    if (best === undefined || distance < best.distance) best = { system, distance };
  }
  made.set(key, best);
  return best;
}

/** Start-up differs with the library of the vendor and, less, with the generation of the part. */
function kinship(systemDevice: string, device: DeviceSpec): number {
  const other = findDevice(systemDevice);
  const family = (arch: string | undefined): string | undefined => arch?.split(" ")[0];
  const generation = other?.arch === device.arch ? 0 : family(other?.arch) === family(device.arch) ? 0.1 : 0.3;
  return (other?.vendor === device.vendor ? 0 : 0.8) + generation;
}

/** PCIe numbers of a bridged box scale with its host link, which both such tables name through the device generation. */
function rateOf(system: MeasuredSystem, bridged: boolean): number {
  return bridged ? (system.deviceId === "h100_pcie" ? 63e9 : 31.5e9) : system.bytesPerSec;
}

function alike(system: MeasuredSystem, level: NetworkLevel): boolean {
  if (level.shape === "torus") return false;
  if (level.kind === "pcie") return system.link === "pcie";
  if (level.kind === "xgmi" && level.bytesPerSec < 200e9) return system.link === "xgmi";
  return system.link === "nvlink" && system.shape === "switch";
}
