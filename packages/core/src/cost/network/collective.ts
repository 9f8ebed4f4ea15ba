// Price of one collective on one placement.
//
// Inside a node or scale-up domain: scaleUp.ts. Across nodes NCCL-like libraries pipeline an inner and an outer part in
// chunks, so both run at once and the slower one sets the time:
//
//   T = inner start-up + outer latency + max(inner wire, outer wire) + fill
//
// fill: NICs need some rounds to run full, and the first chunks must pass the faster part before the slower one does (params.ts). A ring over all ranks
// (all-gather, reduce-scatter) has N-1 hops; a hop is hidden while a chunk takes longer to send than the hop, so its
// latency enters as the other bound, not as a sum. All-reduce takes the better of ring and tree.

import type { ClusterSpec } from "../../cluster/types.ts";
import { assert } from "../../units/errors.ts";
import { measuredCollective } from "../measurements/measuredPrice.ts";
import type { CollectiveQuery, Cost } from "../types.ts";
import { type GroupSplit, splitGroup } from "./levels.ts";
import {
  ALL_TO_ALL_NIC_EFFICIENCY,
  FILL_HOPS,
  FILL_SHARE,
  LAUNCH_SEC,
  LL_BYTES,
  PEER_POST_SEC,
  RAMP_BYTES,
  RAMP_HOPS,
  REL_STD,
  REMOTE_SEND_SEC,
  RING_EFFICIENCY,
  SEND_EFFICIENCY,
  SIMPLE_HOP_FACTOR,
} from "./params.ts";
import { trafficFactor } from "./rankInterpolation.ts";
import { askOf, type Estimate, scaleUpEstimate } from "./scaleUp.ts";
import { type NetworkTables, shippedTables } from "./tables.ts";

/**
 * Duration of a collective over the ranks that `query.spans` places on the levels of the cluster (spans beyond the last
 * level are an error of the caller; missing spans repeat the last).
 */
export function collectiveCost(
  cluster: ClusterSpec,
  query: CollectiveQuery,
  tables: NetworkTables = shippedTables,
): Cost {
  const cost = modelledCollective(cluster, query, tables);
  if (cluster.measured === undefined) return cost;
  return measuredCollective(cluster, query, cost, (on, alone) => modelledCollective(on, alone, tables));
}

function modelledCollective(cluster: ClusterSpec, query: CollectiveQuery, tables: NetworkTables): Cost {
  const size = query.spans.at(-1) ?? 1;
  assert(
    query.spans.length <= cluster.levels.length,
    `spans ${query.spans.join(",")} name at most the ${cluster.levels.length} levels of the cluster`,
  );
  assert(Number.isFinite(query.sizeBytes) && query.sizeBytes >= 0, `a collective moves ${query.sizeBytes} bytes`);
  if (size <= 1 || query.sizeBytes === 0) return { durationSec: 0, source: "analytic", relStd: 0 };
  const split = splitGroup(cluster, query.spans);
  const estimate =
    split.outer.length === 0
      ? scaleUpEstimate(tables, cluster, split.inner, askOf(query, size), query.algorithm)
      : acrossNodes(tables, cluster, query, split);
  return {
    durationSec: estimate.durationSec,
    source: estimate.source,
    relStd: estimate.relStd ?? REL_STD[estimate.source],
  };
}

function acrossNodes(tables: NetworkTables, cluster: ClusterSpec, query: CollectiveQuery, split: GroupSplit): Estimate {
  const { op, sizeBytes } = query;
  const ranks = query.spans.at(-1)!;
  const { inner, outer, inside } = split;
  const nodes = ranks / inside;
  const top = outer.at(-1)!.level;
  if (op === "sendRecv") {
    return {
      durationSec: REMOTE_SEND_SEC + top.latencySec + sizeBytes / (top.bytesPerSec * SEND_EFFICIENCY),
      source: "fit",
    };
  }
  // Wire time of the slowest outer level: what must enter one instance of the level below, over the links of its ranks.
  let outerWire = 0;
  let nicBytes = 0;
  for (const { level, inside: below } of outer) {
    // A ring over all ranks sends all but its own part over every link, a slow one between islands included.
    const ring = level.crossing !== undefined && query.algorithm !== "hierarchical";
    const remote = (ranks - (ring && op !== "allToAll" ? 1 : below)) / ranks;
    const lanes = ring && level.crossing === "perNode" ? inside : below;
    const efficiency = op === "allToAll" ? ALL_TO_ALL_NIC_EFFICIENCY : RING_EFFICIENCY[level.kind];
    const traffic =
      op === "allToAll"
        ? sizeBytes * remote
        : op === "broadcast"
          ? sizeBytes / lanes
          : ((op === "allReduce" ? 2 : 1) * remote * sizeBytes) / lanes;
    nicBytes = Math.max(nicBytes, traffic);
    outerWire = Math.max(outerWire, traffic / (level.bytesPerSec * efficiency));
  }
  // Inner part: the same operation over the local ranks. A ring over all ranks sends (N-1)/N of the buffer on every link, more than
  // the (n-1)/n of the local table; an all-to-all keeps only its local share.
  let innerFloor = LAUNCH_SEC;
  let innerWire = 0;
  if (inside > 1) {
    const local = (bytes: number): number =>
      scaleUpEstimate(tables, cluster, inner, askOf({ ...query, sizeBytes: bytes }, inside), query.algorithm)
        .durationSec;
    innerFloor = local(1);
    const share =
      op === "allReduce" || op === "broadcast"
        ? 1
        : op === "allToAll"
          ? inside / ranks
          : trafficFactor(op, ranks) / trafficFactor(op, inside);
    innerWire = Math.max(0, local(sizeBytes * share) - innerFloor);
  }
  const perRank = op === "allReduce" || op === "broadcast" ? sizeBytes : sizeBytes / ranks;
  const hopOf = (latencySec: number) => latencySec * (1 + ((SIMPLE_HOP_FACTOR - 1) * perRank) / (perRank + LL_BYTES));
  const hop = hopOf(top.latencySec);
  const crossings = crossingHops(outer, nodes, hopOf);
  const innerHop = inner.at(-1)?.latencySec ?? 0;
  const slower = Math.max(innerWire, outerWire);
  const faster = Math.min(innerWire, outerWire);
  const window = FILL_HOPS * top.latencySec;
  const ramp = (RAMP_HOPS * top.latencySec * nicBytes) / (nicBytes + RAMP_BYTES);
  const fill = ramp + FILL_SHARE * faster + (faster === 0 ? 0 : (faster * window) / (faster + window));
  const ringHops = (phases: number): number => phases * (crossings.ringSec + nodes * (inside - 1) * innerHop);
  const hidden = (wire: number, hops: number): number => Math.hypot(wire, hops);
  switch (op) {
    case "allReduce": {
      const tree = 2 * crossings.treeSec + slower + fill;
      const ring = hidden(slower + fill, ringHops(2));
      const chosen =
        query.algorithm === "ring"
          ? ring
          : query.algorithm === "tree" || query.algorithm === "hierarchical"
            ? tree
            : Math.min(tree, ring);
      return { durationSec: innerFloor + chosen, source: "fit" };
    }
    case "allGather":
    case "reduceScatter":
      return { durationSec: innerFloor + hidden(slower + fill, ringHops(1)), source: "fit" };
    case "allToAll":
      return { durationSec: innerFloor + 2 * hop + (ranks - inside) * PEER_POST_SEC + slower + fill, source: "fit" };
    case "broadcast":
      return { durationSec: innerFloor + crossings.treeSec + slower + fill, source: "fit" };
  }
}

/** Latency of all hops between nodes along a ring, and from the root of a tree to its leaves. Few of them cross a link between islands, which may be far. */
function crossingHops(
  outer: GroupSplit["outer"],
  nodes: number,
  hopOf: (latencySec: number) => number,
): { readonly ringSec: number; readonly treeSec: number } {
  const top = outer.at(-1)!;
  const hop = hopOf(top.level.latencySec);
  const below = outer.at(-2);
  if (top.level.crossing === undefined || below === undefined)
    return { ringSec: Math.ceil(nodes - 1) * hop, treeSec: Math.ceil(Math.log2(nodes)) * hop };
  const islands = top.span / top.inside;
  const inner = crossingHops(outer.slice(0, -1), nodes / islands, hopOf);
  return {
    ringSec: islands * (inner.ringSec + hop),
    treeSec: inner.treeSec + Math.ceil(Math.log2(islands)) * hop,
  };
}
