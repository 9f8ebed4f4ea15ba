// Latency-bandwidth model of one collective inside one level, for links no table covers and for a named algorithm.
//
//   T = launch + latency steps x latency + traffic / (link rate x efficiency)
//
// Ring: bandwidth-optimal, latency grows with ranks (Patarasuk and Yuan 2009). Tree: log2 steps, double binary trees keep
// near full bandwidth (Sanders, Speck, Traeff 2009; NCCL 2.4). In-network: each byte up and down once (NVLink SHARP).
// Over PCIe NCCL has two protocols: LL sends a flag with every four bytes, Simple a fence with every slice; the faster one runs.
// Full mesh: one link per peer, so a group of n in a mesh of N uses (n-1)/(N-1) of a device's links.
// Torus: an axis of the torus gives two links; all-to-all is bound by the bisection (Austin et al., How to Scale Your Model, 2025, ch. 3).

import type { NetworkLevel } from "../../cluster/types.ts";
import type { CollectiveOp, CollectiveQuery } from "../types.ts";
import {
  CHAIN_RANKS,
  IN_NETWORK_EFFICIENCY,
  IN_NETWORK_MIN_RANKS,
  LAUNCH_SEC,
  LL_SHARE,
  PCIE_SIMPLE_HOPS,
  PCIE_SIMPLE_SEC,
  RING_EFFICIENCY,
  SOCKET_BYTES_PER_SEC,
  SOCKET_RANKS,
} from "./params.ts";
import { trafficFactor } from "./rankInterpolation.ts";

/** Bytes per second one device of a group of `ranks` can use at this level, data-sheet rate. */
export function reachableBytesPerSec(level: NetworkLevel, ranks: number): number {
  switch (level.shape) {
    case "switch":
    case "bus":
      return level.bytesPerSec;
    case "mesh":
      return level.numDevices <= 2 || ranks >= level.numDevices || level.name === "gcd-pair" || level.name === "bridge"
        ? level.bytesPerSec
        : (level.bytesPerSec * (ranks - 1)) / (level.numDevices - 1);
    case "torus": {
      const dims = level.torusDims ?? [level.numDevices];
      return (level.bytesPerSec * axesSpanned(dims, ranks).length) / dims.length;
    }
  }
}

/** Torus axes a compact group of `ranks` spans, shortest axes first. */
function axesSpanned(dims: readonly number[], ranks: number): number[] {
  const used: number[] = [];
  let covered = 1;
  for (const dim of dims) {
    if (covered >= ranks) break;
    used.push(Math.min(dim, Math.ceil(ranks / covered)));
    covered *= dim;
  }
  return used.length === 0 ? [1] : used;
}

/** Seconds of one collective among `ranks` ranks that share one instance of `level`. */
export function levelSec(
  level: NetworkLevel,
  op: CollectiveOp,
  sizeBytes: number,
  ranks: number,
  algorithm: CollectiveQuery["algorithm"],
): number {
  const linkRate = reachableBytesPerSec(level, ranks) * RING_EFFICIENCY[level.kind];
  const rate = level.shape === "bus" && ranks > SOCKET_RANKS ? Math.min(linkRate, SOCKET_BYTES_PER_SEC) : linkRate;
  const log = Math.ceil(Math.log2(ranks));
  // A torus sends along all its axes at once, both ways round: half of each side.
  const ringSteps =
    level.shape === "torus"
      ? axesSpanned(level.torusDims ?? [level.numDevices], ranks).reduce((sum, dim) => sum + Math.ceil(dim / 2), 0)
      : ranks - 1;
  const ring = (steps: number, traffic: number): number =>
    level.shape === "bus"
      ? Math.min(
          LAUNCH_SEC + steps * level.latencySec + traffic / (rate * LL_SHARE),
          LAUNCH_SEC + PCIE_SIMPLE_SEC + steps * level.latencySec * PCIE_SIMPLE_HOPS + traffic / rate,
        )
      : LAUNCH_SEC + steps * level.latencySec + traffic / rate;
  const inNetwork = LAUNCH_SEC + 4 * level.latencySec + sizeBytes / (level.bytesPerSec * IN_NETWORK_EFFICIENCY);
  switch (op) {
    case "allReduce": {
      const traffic = trafficFactor(op, ranks) * sizeBytes;
      const byRing = ring(2 * ringSteps, traffic);
      const byTree = ring(2 * log, traffic / 0.9);
      switch (algorithm) {
        case "ring":
          return byRing;
        case "tree":
        case "hierarchical":
          return byTree;
        case "inNetwork":
          return inNetwork;
        case "direct":
          return LAUNCH_SEC + 2 * level.latencySec + ((ranks - 1) * sizeBytes) / rate;
        case "auto":
          return Math.min(
            byRing,
            ranks > CHAIN_RANKS ? byTree : Number.POSITIVE_INFINITY,
            level.inNetworkReduce && ranks >= IN_NETWORK_MIN_RANKS ? inNetwork : Number.POSITIVE_INFINITY,
          );
      }
      break;
    }
    case "allGather":
    case "reduceScatter":
      return ring(
        algorithm === "tree" || algorithm === "direct" ? log : ringSteps,
        trafficFactor(op, ranks) * sizeBytes,
      );
    case "allToAll": {
      if (level.shape !== "torus") return ring(1 + log, trafficFactor(op, ranks) * sizeBytes);
      const dims = level.torusDims ?? [level.numDevices];
      const perLink = (level.bytesPerSec * RING_EFFICIENCY[level.kind]) / (2 * dims.length);
      const axes = axesSpanned(dims, ranks);
      return (
        LAUNCH_SEC +
        axes.reduce((sum, dim) => sum + (dim / 2) * level.latencySec + (sizeBytes * dim) / (8 * perLink), 0)
      );
    }
    case "broadcast":
      return ring(log, sizeBytes);
    case "sendRecv":
      return ring(1, sizeBytes);
  }
}
