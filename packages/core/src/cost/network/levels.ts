// Which levels of a cluster are reached through NICs, and how a group splits into its local and its remote part.

import type { ClusterSpec, NetworkLevel } from "../../cluster/types.ts";

export interface GroupSplit {
  /** Levels inside the node or scale-up domain that the group reaches. */
  readonly inner: readonly NetworkLevel[];
  /** Levels above that the group reaches, with the ranks of the group below and inside them. */
  readonly outer: readonly { readonly level: NetworkLevel; readonly inside: number; readonly span: number }[];
  /** Ranks of the group in one scale-up domain. */
  readonly inside: number;
}

/** Spans beyond the named ones repeat the last. */
export function splitGroup(cluster: ClusterSpec, spans: readonly number[]): GroupSplit {
  const inner: NetworkLevel[] = [];
  const outer: { level: NetworkLevel; inside: number; span: number }[] = [];
  let below = 1;
  let inside = 1;
  cluster.levels.forEach((level, i) => {
    const span = spans[i] ?? spans.at(-1) ?? 1;
    if (span <= below) return;
    if (isFabric(cluster, level)) outer.push({ level, inside: below, span });
    else {
      inner.push(level);
      inside = span;
    }
    below = span;
  });
  return { inner, outer, inside };
}

/** Reached through NICs: a network kind that joins nodes (Gaudi's Ethernet inside the node is not). */
export function isFabric(cluster: ClusterSpec, level: NetworkLevel): boolean {
  if (level.numDevices <= cluster.node.numDevices) return false;
  return level.kind === "infiniband" || level.kind === "ethernet" || level.kind === "dcn" || level.kind === "other";
}
