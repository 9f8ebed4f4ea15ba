import { expect, test } from "vitest";
import { clusterDescription, clusterFromDescription, platforms } from "./index.ts";

test("a written-out cluster reads back to the same cluster", () => {
  const names = [
    "64xh100-sxm",
    "8xa100-80g",
    "4x4xa100-40g",
    "gb200-nvl72x2",
    "256xtpu-v5e",
    "64xmi300x",
    ...platforms.filter(({ domain }) => domain === undefined).map(({ id }) => `4x${id}`),
  ];
  for (const name of names) {
    const cluster = clusterFromDescription(name);
    const { notes: _, ...same } = cluster;
    const { notes: __, ...again } = clusterFromDescription(clusterDescription(cluster, cluster.device.id));
    expect(again, name).toEqual(same);
  }
});

test("a changed device stands as its base with changes", () => {
  const cluster = clusterFromDescription("64xh100-sxm");
  const changed = clusterFromDescription(
    clusterDescription(cluster, { base: cluster.device.id, memory_bandwidth: 2 * cluster.device.memoryBytesPerSec }),
  );
  expect(changed.device.memoryBytesPerSec).toBe(2 * cluster.device.memoryBytesPerSec);
  expect(changed.device.basedOn).toBe(cluster.device.id);
  expect(changed.levels).toEqual(cluster.levels);
});

test("a cluster of several groups has no such description", () => {
  const mixed = clusterFromDescription("32xa100-80g+32xh100-sxm");
  expect(clusterDescription(mixed, "h100-sxm")).toBeNull();
});
