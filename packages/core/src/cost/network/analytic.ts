// Latency-bandwidth model of a collective over nested network levels, for placements no table covers.
//
// A group is split by level: at level i, `fanout` sub-groups of the level below talk to each other. NCCL-like libraries run
// a hierarchical algorithm in pipelined chunks, so the levels' wire times overlap: the slowest level counts in full and
// the others by the share of the pipeline that is fill and drain. Latencies of the levels add up.
//
//   wire time at level i  = traffic_i / (bytesPerSec_i x efficiency(kind)),  per device
//   latency at level i    = steps_i x latencySec_i
//
// Traffic per device at level i, for a buffer S already divided by the ranks inside (Thakur, Rabenseifner, Gropp 2005, with
// Patarasuk and Yuan 2009 for the ring bound): all-reduce 2 (f-1)/f S/inside, all-gather and reduce-scatter
// (f-1)/f S/inside outside and the full share inside, all-to-all: the part of the buffer that leaves the level below.

import type { NetworkLevel } from "../../cluster/types.ts";
import type { CollectiveOp, CollectiveQuery } from "../types.ts";
import { networkParams } from "./params.ts";

export interface LevelShare {
  readonly level: NetworkLevel;
  /** Sub-groups of the level below that meet at this level. */
  readonly fanout: number;
  /** Ranks of the group inside one instance of the level below. */
  readonly inside: number;
  /** Ranks of the group inside one instance of this level. */
  readonly span: number;
}

/** The levels at which the group really communicates, innermost first. */
export function levelShares(levels: readonly NetworkLevel[], spans: readonly number[]): LevelShare[] {
  const shares: LevelShare[] = [];
  let inside = 1;
  for (let i = 0; i < levels.length; i++) {
    const level = levels[i]!;
    const span = spans[i] ?? inside;
    const fanout = Math.ceil(span / inside - 1e-9);
    if (fanout > 1) shares.push({ level, fanout, inside, span });
    inside = Math.max(inside, span);
  }
  return shares;
}

/** Seconds of wire time at one level, latency left out. */
export function wireSec(op: CollectiveOp, sizeBytes: number, share: LevelShare, groupSize: number, algorithm: CollectiveQuery["algorithm"]): number {
  const { level, fanout, inside } = share;
  const bandwidth = levelBandwidth(share);
  const ring = (fanout - 1) / fanout;
  switch (op) {
    case "allReduce": {
      const inNetwork = level.inNetworkReduce && (algorithm === "inNetwork" || algorithm === "auto") && fanout >= networkParams.inNetworkMinRanks;
      // In-network: every byte goes up once and comes down once, both directions at the same time; the switch reduces.
      const traffic = inNetwork ? (1 + 1 / fanout) / 1 : 2 * ring;
      return (traffic * sizeBytes) / inside / (bandwidth * (inNetwork ? networkParams.inNetworkEfficiency : 1));
    }
    case "allGather":
    case "reduceScatter": {
      // Outer levels move 1/inside of the data per device, each on its own link.
      return (ring * sizeBytes * (share.span / groupSize)) / inside / bandwidth + (inside > 1 ? 0 : 0);
    }
    case "allToAll":
      return (sizeBytes * (share.span - inside)) / groupSize / bandwidth;
    case "broadcast":
      return sizeBytes / bandwidth;
    case "sendRecv":
      return sizeBytes / bandwidth;
  }
}

/** Usable bytes per second of one device at this level. */
export function levelBandwidth(share: LevelShare): number {
  const { level } = share;
  return level.bytesPerSec * networkParams.efficiency[level.kind];
}

/** Message rounds at one level that cannot overlap. */
export function latencySteps(op: CollectiveOp, fanout: number, algorithm: CollectiveQuery["algorithm"]): number {
  const log = Math.ceil(Math.log2(fanout));
  const ring = fanout - 1;
  const rounds = algorithm === "ring" ? ring : algorithm === "tree" ? log : Math.min(ring, 2 * log);
  switch (op) {
    case "allReduce": return 2 * rounds;
    case "allGather":
    case "reduceScatter": return algorithm === "tree" ? log : ring < 16 ? ring : Math.min(ring, 8 + 2 * log);
    case "allToAll": return 1 + log;
    case "broadcast": return log;
    case "sendRecv": return 1;
  }
}

/** Seconds of one collective, no table consulted. */
export function analyticCollectiveSec(levels: readonly NetworkLevel[], query: CollectiveQuery): number {
  const shares = levelShares(levels, query.spans);
  if (shares.length === 0) return 0;
  const size = query.spans.at(-1) ?? 1;
  let latencySec = networkParams.launchSec;
  let slowest = 0;
  let total = 0;
  for (const share of shares) {
    const wire = wireSec(query.op, query.sizeBytes, share, size, query.algorithm);
    latencySec += latencySteps(query.op, share.fanout, query.algorithm) * share.level.latencySec;
    slowest = Math.max(slowest, wire);
    total += wire;
  }
  return latencySec + slowest + networkParams.pipelineFill * (total - slowest);
}
