// Seconds of the ops of a phase: queries of each op (opKernels.ts) put to the kernel and network halves of the cost room.
//
// Questions repeat (128 equal layers, hundreds of strategies in a search), and an answer depends on nothing but cluster and question, so answers are
// remembered per cluster. The memory is bounded: it is dropped when full and fills again with the same values.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Block, Op } from "../parallel/program.ts";
import { assert } from "../units/errors.ts";
import { dynamicJoules, kernelCost } from "./kernels/index.ts";
import { collectiveCost, hostCopyCost, moeExchangeCost } from "./network/index.ts";
import type { OpContext, OpQuery, OpWork } from "./opContext.ts";
import { workAt } from "./opKernels.ts";
import { type OpTimeKind, opName, opTimeKind } from "./opNames.ts";
import type { Cost, CostSource, GemmDType, KernelQuery } from "./types.ts";

export interface PricedOp {
  readonly op: Op;
  readonly name: string;
  readonly kind: OpTimeKind;
  /** Alone on the device, launch not included. */
  readonly durationSec: number;
  readonly relStd: number;
  /** Source of its longest query. */
  readonly source: CostSource;
  readonly numLaunches: number;
  readonly workFlops: number;
  readonly sizeBytes: number;
  /** Dynamic energy at boost clock. */
  readonly joules: number;
  /** Bound by matrix units (GEMM, attention, scans) rather than memory. */
  readonly matrix: boolean;
  /** Outermost network level that a collective crosses; -1 for anything else. */
  readonly level: number;
  /** A collective that needs no compute units to run (copy engines, user buffers, host copies). */
  readonly unitFree: boolean;
}

const maxRemembered = 200_000;
const remembered = new WeakMap<ClusterSpec, Map<string, Cost>>();

/** Price of one query on a cluster. */
export function queryCost(cluster: ClusterSpec, query: OpQuery): Cost {
  let costs = remembered.get(cluster);
  if (costs === undefined) {
    costs = new Map();
    remembered.set(cluster, costs);
  }
  const key = queryKey(query);
  let cost = costs.get(key);
  if (cost === undefined) {
    cost = computeCost(cluster, query);
    assert(
      cost.durationSec >= 0 && cost.durationSec < Number.POSITIVE_INFINITY,
      `price of ${JSON.stringify(query)} is finite: ${cost.durationSec}`,
    );
    if (costs.size >= maxRemembered) costs.clear();
    costs.set(key, cost);
  }
  return cost;
}

/** Queries of one kind are made with their fields in one order, so their values identify them. */
function queryKey(query: OpQuery): string {
  let key = "";
  for (const value of Object.values(query)) key += `${value},`;
  return key;
}

const boostClock = { clockFrac: 1 } as const;

/**
 * Price of a kernel in training. Tables of 8-bit formats come from different engines' kernels. One scale per tensor is less work than one per block, and
 * MX scales are read by the matrix units where blocks of 128 are multiplied in by the kernel; so a training library that picks its kernels is at least
 * as fast as the fastest of the coarser or harder ones.
 */
function fastestEngine(device: ClusterSpec["device"], query: KernelQuery): Cost {
  let best = kernelCost(device, query, boostClock);
  if (query.kind !== "gemm" && query.kind !== "groupedGemm") return best;
  for (const dtype of noSlowerThan[query.dtype] ?? []) {
    const other = kernelCost(device, { ...query, dtype }, boostClock);
    if (other.durationSec < best.durationSec) best = other;
  }
  return best;
}

const noSlowerThan: Readonly<Partial<Record<GemmDType, readonly GemmDType[]>>> = {
  fp8: ["mxfp8", "fp8_block"],
  mxfp8: ["fp8_block"],
};

/**
 * Share of peak host-memory bandwidth that a vectorised CPU optimizer sustains beside the rest of the job: 8 G parameters in 2.4 s on a DGX-2 host of
 * 256 GB/s, at 28 bytes a parameter (ZeRO-Offload, arXiv 2101.06840, table of CPU-Adam latencies, as remembered).
 */
const HOST_STREAM_EFFICIENCY = 0.36;

function computeCost(cluster: ClusterSpec, query: OpQuery): Cost {
  switch (query.kind) {
    case "collective":
      return collectiveCost(cluster, query);
    case "moeExchange":
      return moeExchangeCost(cluster, query);
    case "hostCopy":
      return hostCopyCost(cluster, query.sizeBytes);
    case "hostWork": {
      const share = (cluster.node.hostMemoryBytesPerSec * HOST_STREAM_EFFICIENCY) / cluster.node.numDevices;
      return { durationSec: query.sizeBytes / share, source: "analytic", relStd: 0.3 };
    }
    default:
      // At boost clock: the clock that the whole step's power allows is the simulation's business (simulate/power.ts).
      return fastestEngine(cluster.device, query);
  }
}

/** The ops of one phase of a block, priced, in order. */
export function priceOps(block: Block, ops: readonly Op[], context: OpContext): PricedOp[] {
  return ops.map((_, i) => priceOp(block, ops, i, context));
}

/** One op of a phase, priced. */
export function priceOp(block: Block, ops: readonly Op[], index: number, context: OpContext): PricedOp {
  return priceWork(ops[index]!, block, workAt(block, ops, index, context), context);
}

function priceWork(op: Op, block: Block, work: OpWork, context: OpContext): PricedOp {
  let durationSec = 0;
  let variance = 0;
  let longest = -1;
  let source: CostSource = "analytic";
  let matrix = false;
  let level = -1;
  let unitFree = false;
  let dtype: GemmDType = "bf16";
  for (const { query, times } of work.queries) {
    if (query.kind === "memory" && query.sizeBytes === 0 && query.numKernels === 0) continue;
    const cost = queryCost(context.cluster, query);
    const sec = cost.durationSec * times;
    durationSec += sec;
    // Errors of queries of one source are taken as fully correlated, so standard deviations add.
    variance += sec * cost.relStd;
    if (sec > longest) {
      longest = sec;
      source = cost.source;
    }
    if (query.kind === "gemm" || query.kind === "groupedGemm") dtype = query.dtype;
    if (query.kind === "gemm" || query.kind === "groupedGemm" || query.kind === "attention" || query.kind === "scan")
      matrix = true;
    if (query.kind === "collective" || query.kind === "moeExchange") level = outermostLevel(query.spans);
    if (
      query.kind === "hostCopy" ||
      query.kind === "hostWork" ||
      (query.kind === "collective" && query.backend === "userBuffers")
    )
      unitFree = true;
  }
  const fusedAway = op.fused === true && level < 0;
  return {
    op,
    name: opName(op, block),
    kind: opTimeKind(op, block),
    durationSec,
    relStd: durationSec > 0 ? variance / durationSec : 0,
    source,
    numLaunches: fusedAway ? 0 : work.numLaunches,
    workFlops: work.workFlops,
    sizeBytes: work.sizeBytes,
    joules: dynamicJoules(context.cluster.device, { dtype, workFlops: work.workFlops, sizeBytes: work.sizeBytes }),
    matrix,
    level,
    unitFree,
  };
}

/** The outermost level whose links the group uses: the last at which its span grows; -1 for a group of one. */
export function outermostLevel(spans: readonly number[]): number {
  let level = -1;
  let inside = 1;
  for (let i = 0; i < spans.length; i++) {
    if (spans[i]! > inside) level = i;
    inside = Math.max(inside, spans[i]!);
  }
  return level;
}
