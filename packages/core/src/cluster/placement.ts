// How a communication group lies on the network: how many of its ranks share one instance of each level.
// Rank = device index; a level instance is a block of consecutive devices.

import { assert } from "../units/errors.ts";
import type { ClusterSpec, GroupPlacement } from "./types.ts";

/**
 * Spans of any group. Where the group lies unevenly (3, 3 and 2 ranks in three nodes) the fullest instance counts.
 * O(size x levels).
 */
export function groupPlacement(cluster: ClusterSpec, ranks: readonly number[]): GroupPlacement {
  const size = ranks.length;
  assert(size >= 1, "a group has at least one rank");
  const spans: number[] = [];
  for (const level of cluster.levels) {
    if (level.numDevices >= cluster.numDevices) {
      spans.push(size);
      continue;
    }
    const counts = new Map<number, number>();
    let fullest = 0;
    for (const rank of ranks) {
      assert(rank >= 0 && rank < cluster.numDevices, `rank ${rank} is one of ${cluster.numDevices} devices`);
      const instance = Math.floor(rank / level.numDevices);
      const count = (counts.get(instance) ?? 0) + 1;
      counts.set(instance, count);
      if (count > fullest) fullest = count;
    }
    spans.push(fullest);
  }
  return { size, spans };
}

/** Same for ranks start, start + stride, ...: O(levels) when the stride divides the level or the level divides the stride. */
export function stridedPlacement(
  cluster: ClusterSpec,
  group: { readonly start: number; readonly stride: number; readonly size: number },
): GroupPlacement {
  const { start, stride, size } = group;
  const closed = cluster.levels.every(
    (level) =>
      level.numDevices >= cluster.numDevices || stride % level.numDevices === 0 || level.numDevices % stride === 0,
  );
  if (!closed || size < 2)
    return groupPlacement(
      cluster,
      Array.from({ length: size }, (_, i) => start + i * stride),
    );
  const spans = cluster.levels.map((level) => {
    if (level.numDevices >= cluster.numDevices) return size;
    if (stride >= level.numDevices) return 1;
    const perInstance = level.numDevices / stride;
    const inFirst = Math.min(size, Math.ceil((level.numDevices - (start % level.numDevices)) / stride));
    return Math.max(inFirst, Math.min(perInstance, size - inFirst));
  });
  return { size, spans };
}
