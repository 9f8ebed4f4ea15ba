// A strategy as a person would say it: `8-way tensor parallel inside each node, 4 pipeline stages of 2 chunks, 2 data-parallel replicas...`.

import { groupPlacement } from "../cluster/placement.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import type { Strategy } from "../parallel/strategy.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { grouped } from "../units/format.ts";

type WordedAxis = "tp" | "cp" | "dp" | "pp";

/** One sentence without a full stop; the parts in the order of the mesh from the inside out. */
export function strategyWords({ strategy: s, cluster, workload }: ResolvedSpec): string {
  const at = (axis: WordedAxis) => placeWords(cluster, s, axis);
  const numMicroBatches = workload.globalBatch / (s.microBatch * s.dp);
  const parts = [
    ...(s.tp > 1
      ? [`${s.tp}-way tensor parallel${s.sequenceParallel ? " with sequence parallel" : ""}${at("tp")}`]
      : []),
    ...(s.cp > 1 ? [`each sequence over ${s.cp} context-parallel ranks${at("cp")}`] : []),
    ...(s.ep > 1 ? [`experts over ${s.ep} ranks`] : []),
    ...(s.pp > 1
      ? [`${s.pp} pipeline stages${s.numChunks > 1 ? ` of ${s.numChunks} chunks each` : ""} (${s.schedule})${at("pp")}`]
      : []),
    ...(s.dp > 1 ? [`${grouped(s.dp)} data-parallel replicas${at("dp")}`] : []),
    ...shardingWords(s),
    `${Number.isInteger(numMicroBatches) ? grouped(numMicroBatches) : numMicroBatches.toFixed(1)} ${numMicroBatches === 1 ? "micro-batch" : "micro-batches"} of ${s.microBatch === 1 ? "one sequence" : `${s.microBatch} sequences`}`,
    ...recomputeWords(s),
    ...(s.offloadOptimizer ? ["the optimizer on the host"] : []),
    ...(s.offloadActivations ? ["activations on the host"] : []),
    s.precision,
  ];
  const text = parts.join(", ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Where a group of an axis lies: the innermost level that holds it whole. Empty for one level in all. */
function placeWords(cluster: ClusterSpec, s: Strategy, axis: WordedAxis): string {
  if (cluster.groups !== undefined || cluster.levels.length < 2) return "";
  let stride = 1;
  for (const each of s.order) {
    if (each === axis) break;
    stride *= s[each];
  }
  const ranks = Array.from({ length: s[axis] }, (_, i) => i * stride);
  const last = ranks.at(-1) ?? 0;
  if (last >= cluster.numDevices) return "";
  const { size, spans } = groupPlacement(cluster, ranks);
  const level = cluster.levels.findIndex((_, i) => spans[i] === size);
  if (level !== 0 && level !== -1) return spans[0] === 1 ? " across nodes" : " over several nodes";
  return " inside each node";
}

function shardingWords(s: Strategy): string[] {
  const among = s.shardGroup < s.dp * s.cp ? ` in groups of ${s.shardGroup}` : "";
  const inRuns = s.reduceGradients === "run" ? ", gradients reduced after each run of micro-batches" : "";
  switch (s.sharding) {
    case "none":
      return [];
    case "zero1":
      return [`optimizer state split over replicas${among} (zero1)`];
    case "zero2":
      return [`gradients and optimizer state split over replicas${among} (zero2)${inRuns}`];
    case "zero3":
      return [`parameters, gradients and optimizer state split over replicas${among} (zero3)${inRuns}`];
    default:
      return s.sharding satisfies never;
  }
}

function recomputeWords(s: Strategy): string[] {
  const { recompute } = s;
  switch (recompute.kind) {
    case "none":
      return ["nothing recomputed"];
    case "selective":
      return [`${recompute.modules.join(" and ")} recomputed`];
    case "ops":
      return ["cheap ops recomputed"];
    case "full":
      return [
        recompute.numLayers === "all"
          ? "every layer recomputed"
          : `${recompute.numLayers} layers of each chunk recomputed`,
      ];
    default:
      return recompute satisfies never;
  }
}
