// Price of a collective inside one scale-up domain or node: own table, else the tables of siblings (siblings.ts), else the analytic model.

import type { ClusterSpec, NetworkLevel } from "../../cluster/types.ts";
import type { CollectiveQuery } from "../types.ts";
import { levelSec } from "./analytic.ts";
import { siblingEstimate } from "./siblings.ts";
import { type Ask, type Estimate, systemMicros } from "./systemCurves.ts";
import type { NetworkTables } from "./tables.ts";

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

export type { Ask, Estimate } from "./systemCurves.ts";
export { systemMicros } from "./systemCurves.ts";

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
