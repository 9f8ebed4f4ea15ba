// From curves at a few rank counts to any rank count.
//
// Between measured counts the logarithm of the latency is interpolated in the logarithm of the rank count, at the same
// wire traffic per rank. Beyond the largest count the wire time per byte stays (a ring or a switch moves (n-1)/n of the
// buffer per rank) and the start-up grows by the hops added, up to where a ring's hops are hidden behind its chunks.

import type { CollectiveOp } from "../types.ts";
import { covers, curveMicros } from "./curve.ts";
import type { RankCurves } from "./tables.ts";

export interface RankEstimate {
  readonly micros: number;
  /** The rank count has its own curve and the size lies inside it. */
  readonly direct: boolean;
}

/** Share of the named buffer one rank sends (all-reduce: both phases). */
export function trafficFactor(op: CollectiveOp, ranks: number): number {
  switch (op) {
    case "allReduce":
      return (2 * (ranks - 1)) / ranks;
    case "allGather":
    case "reduceScatter":
    case "allToAll":
      return (ranks - 1) / ranks;
    case "broadcast":
    case "sendRecv":
      return 1;
  }
}

/** Microseconds of `op` among `ranks` ranks, from curves of other counts where needed. `hopMicros`: one more step of a ring. */
export function rankMicros(
  table: RankCurves,
  op: CollectiveOp,
  ranks: number,
  sizeBytes: number,
  hopMicros: number,
): RankEstimate {
  const { ranks: counts, curves } = table;
  const exact = counts.indexOf(ranks);
  if (exact >= 0) return { micros: curveMicros(curves[exact]!, sizeBytes), direct: covers(curves[exact]!, sizeBytes) };
  const at = (i: number): number =>
    curveMicros(curves[i]!, (sizeBytes * trafficFactor(op, ranks)) / trafficFactor(op, counts[i]!));
  const above = counts.findIndex((count) => count > ranks);
  if (above > 0) {
    const low = counts[above - 1]!;
    const high = counts[above]!;
    const share = Math.log(ranks / low) / Math.log(high / low);
    return { micros: at(above - 1) ** (1 - share) * at(above) ** share, direct: false };
  }
  if (above === 0) return { micros: at(0), direct: false };
  const last = counts.length - 1;
  const added = ranks - counts[last]!;
  const hops = op === "allReduce" ? 2 * Math.log2(ranks / counts[last]!) : op === "allToAll" ? added * 0.25 : added;
  const base = at(last);
  const start = hops * hopMicros;
  // A chunk's transfer hides a hop once it takes longer: root of squares goes smoothly from one bound to the other.
  return {
    micros: op === "allReduce" ? base + start : Math.max(base, Math.hypot(base, base * 0.3 + start)),
    direct: false,
  };
}
