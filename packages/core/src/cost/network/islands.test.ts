import { describe, expect, it } from "vitest";
import { clusterFromDescription, placementFrom } from "../../cluster/index.ts";
import type { CollectiveQuery } from "../types.ts";
import { collectiveCost } from "./collective.ts";
import { RING_EFFICIENCY, SEND_EFFICIENCY } from "./params.ts";

/** Two islands of two nodes of eight A100, 200 Gb/s per device inside. */
const joined = (link: Record<string, unknown>) =>
  clusterFromDescription({
    groups: ["west", "east"].map((island) => ({
      name: island,
      island,
      device: "a100-80g",
      nodes: 2,
      nics: { count: 8, speed: "200Gb/s" },
    })),
    links: link,
  });

function seconds(
  link: Record<string, unknown>,
  ranks: readonly number[],
  what: Pick<CollectiveQuery, "op" | "sizeBytes"> & { readonly algorithm?: CollectiveQuery["algorithm"] },
): number {
  const cluster = joined(link);
  const from = cluster.groups![0]!;
  const { spans } = placementFrom(cluster, from, ranks);
  return collectiveCost(from.view, { kind: "collective", algorithm: "auto", backend: "nccl", ...what, spans })
    .durationSec;
}

const oneOfEachNode = [0, 8, 16, 24];
const perNode = { nics: { count: 1, speed: "25Gb/s" } };

describe("a collective over islands", () => {
  it("sends all but its own part through the NICs of one node: 2 (n-1)/n of the buffer at the share of one device", () => {
    // 25 Gb/s of a node with 8 devices are 390.625 MB/s each; 1.5 GB at that rate.
    const wireSec = (2 * 0.75 * 1e9) / ((25e9 / 8 / 8) * RING_EFFICIENCY.ethernet);
    const sec = seconds(perNode, oneOfEachNode, { op: "allReduce", sizeBytes: 1e9 });
    expect(sec / wireSec).toBeGreaterThan(1);
    expect(sec / wireSec).toBeLessThan(1.05);
    // Half of it for a gather.
    expect(seconds(perNode, oneOfEachNode, { op: "allGather", sizeBytes: 1e9 }) / sec).toBeCloseTo(0.5, 1);
  });

  it("shares a common link with the rings of the other groups", () => {
    // 800 Gb/s for 16 devices on each side: 6.25 GB/s each, and each group has two of them.
    const wireSec = (2 * 0.75 * 1e9) / 2 / (6.25e9 * RING_EFFICIENCY.ethernet);
    const sec = seconds({ total: "800Gb/s" }, oneOfEachNode, { op: "allReduce", sizeBytes: 1e9 });
    expect(sec / wireSec).toBeGreaterThan(1);
    expect(sec / wireSec).toBeLessThan(1.2);
  });

  it("spreads over all nodes where the algorithm is hierarchical", () => {
    const sec = (algorithm: CollectiveQuery["algorithm"]) =>
      seconds(perNode, oneOfEachNode, { op: "allReduce", sizeBytes: 1e9, algorithm });
    expect(sec("hierarchical")).toBeLessThan(0.5 * sec("auto"));
  });

  it("pays the latency of a far link once for each crossing, not for each hop", () => {
    const far = { ...perNode, latency: "10ms" };
    const sec = seconds(far, oneOfEachNode, { op: "allReduce", sizeBytes: 8 });
    // Down and up a tree over two islands: one crossing each way.
    expect(sec).toBeGreaterThan(0.02);
    expect(sec).toBeLessThan(0.021);
  });

  it("is as fast as ever inside an island", () => {
    const inside = (link: Record<string, unknown>) => seconds(link, [0, 8], { op: "allReduce", sizeBytes: 1e9 });
    expect(inside(perNode)).toBe(inside({ bandwidth: "100GB/s" }));
    expect(inside(perNode)).toBeLessThan(0.1);
  });

  it("a message takes its bytes over the share of one device", () => {
    const sec = seconds(perNode, [8, 16], { op: "sendRecv", sizeBytes: 390_625_000 });
    expect(sec * SEND_EFFICIENCY).toBeCloseTo(1, 3);
  });
});
