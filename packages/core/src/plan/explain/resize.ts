// The same job on more or fewer devices, with more or fewer data parallel copies, and on other batches and sequences.

import type { ClusterSpec } from "../../cluster/types.ts";
import { isFabric } from "../../cost/network/levels.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import type { StepSpec } from "../../simulate/index.ts";

/** A cluster of the same nodes and links with another number of devices; null where the description does not say what joins them (one node, a torus). */
export function resizedCluster(cluster: ClusterSpec, numDevices: number): ClusterSpec | null {
  const outermost = cluster.levels.at(-1)!;
  if (numDevices % cluster.node.numDevices !== 0 || outermost.torusDims !== undefined) return null;
  if (!isFabric(cluster, outermost)) return null;
  const inner = cluster.levels.filter((level) => level.numDevices < numDevices && level !== outermost);
  const reached = inner.at(-1)?.numDevices ?? 1;
  const levels = numDevices > reached ? [...inner, { ...outermost, numDevices }] : inner;
  // A level that held several whole domains may now hold a broken one.
  if (levels.some((level) => numDevices % level.numDevices !== 0)) return null;
  const bare = numDevices <= cluster.node.numDevices ? cluster.levels[0]! : undefined;
  return { ...cluster, numDevices, levels: bare === undefined ? levels : [{ ...bare, numDevices }] };
}

/**
 * `dp` copies instead of the present ones on as many devices as they need.
 *
 * @param globalBatch sequences of a step; null keeps those of each copy (weak scaling).
 */
export function withCopies(spec: StepSpec, dp: number, globalBatch: number | null): StepSpec | null {
  const { strategy, workload } = spec;
  const perCopy = strategy.tp * strategy.cp * strategy.pp;
  const idle = spec.cluster.numDevices - perCopy * strategy.dp;
  if (idle !== 0 || dp < 1) return null;
  const cluster = resizedCluster(spec.cluster, perCopy * dp);
  if (cluster === null) return null;
  const batch = globalBatch ?? (workload.globalBatch / strategy.dp) * dp;
  return { ...spec, cluster, strategy: withDp(strategy, dp), workload: { ...workload, globalBatch: batch } };
}

/** Another dp: shards that spanned all copies still do. */
export function withDp(strategy: Strategy, dp: number): Strategy {
  const all = strategy.dp * strategy.cp;
  return { ...strategy, dp, shardGroup: strategy.shardGroup === all ? dp * strategy.cp : strategy.shardGroup };
}

/** Sequences of `seqLen` tokens, as many as make the same tokens a step where these divide over the copies, else as many as before. */
export function withSequences(spec: StepSpec, seqLen: number): StepSpec {
  const { workload, strategy } = spec;
  const sameTokens = (workload.globalBatch * workload.seqLen) / seqLen;
  const divides = sameTokens >= 1 && sameTokens % (strategy.dp * strategy.microBatch) === 0;
  return { ...spec, workload: { ...workload, seqLen, globalBatch: divides ? sameTokens : workload.globalBatch } };
}
