import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { clusterFromDescription, clusterFromShorthand } from "../../cluster/index.ts";
import type { ClusterSpec } from "../../cluster/types.ts";
import type { CollectiveOp, CollectiveQuery } from "../types.ts";
import { levelSec, reachableBytesPerSec } from "./analytic.ts";
import { collectiveCost } from "./collective.ts";
import { trafficFactor } from "./rankInterpolation.ts";
import { shippedTables } from "./tables.ts";

const OPS: readonly CollectiveOp[] = ["allReduce", "allGather", "reduceScatter", "allToAll", "broadcast"];

function ask(
  op: CollectiveOp,
  sizeBytes: number,
  spans: readonly number[],
  more: Partial<CollectiveQuery> = {},
): CollectiveQuery {
  return { kind: "collective", op, sizeBytes, spans, algorithm: "auto", backend: "nccl", ...more };
}
const sec = (
  cluster: ClusterSpec,
  op: CollectiveOp,
  sizeBytes: number,
  spans: readonly number[],
  more: Partial<CollectiveQuery> = {},
): number => collectiveCost(cluster, ask(op, sizeBytes, spans, more)).durationSec;
const busGBps = (cluster: ClusterSpec, op: CollectiveOp, spans: readonly number[], sizeBytes = 1e9): number =>
  (trafficFactor(op, spans.at(-1)!) * sizeBytes) / sec(cluster, op, sizeBytes, spans) / 1e9;

const h100 = clusterFromShorthand("512xh100");

describe("collectives in a node", () => {
  it("returns the measured point where there is one", () => {
    const table = shippedTables.find({
      system: "h100_sxm_nvlink8",
      op: "allReduce",
      backend: "nccl",
      dtype: "float",
      numNodes: 1,
    })!;
    expect(table.ranks).toEqual([2, 4, 8]);
    table.ranks.forEach((ranks, i) => {
      const curve = table.curves[i]!;
      for (let k = 0; k < curve.sizes.length; k += 4) {
        const cost = collectiveCost(h100, ask("allReduce", curve.sizes[k]!, [ranks, ranks]));
        expect(cost.durationSec).toBeCloseTo(curve.micros[k]! * 1e-6, 12);
        expect(cost.source).toBe("table");
      }
    });
  });

  it("places rank counts without a table between their neighbours", () => {
    for (const op of OPS) {
      for (const size of [1e4, 1e6, 1e8]) {
        const [four, six, eight] = [4, 6, 8].map((n) => sec(h100, op, size / trafficFactor(op, n), [n, n]));
        expect(six!).toBeGreaterThanOrEqual(Math.min(four!, eight!) * 0.999);
        expect(six!).toBeLessThanOrEqual(Math.max(four!, eight!) * 1.001);
      }
    }
  });

  it("prices a sibling with the same links alike, and scales with the link", () => {
    const h200 = clusterFromShorthand("8xh200");
    expect(sec(h200, "allGather", 1e8, [8])).toBeCloseTo(sec(h100, "allGather", 1e8, [8, 8]), 7);
    expect(collectiveCost(h200, ask("allGather", 1e8, [8])).source).toBe("sibling");
    const h800 = clusterFromShorthand("8xh800");
    expect(sec(h800, "allGather", 1e9, [8]) / sec(h100, "allGather", 1e9, [8, 8])).toBeCloseTo(450 / 200, 1);
    expect(collectiveCost(h200, ask("allGather", 1e8, [8])).relStd).toBeGreaterThan(
      collectiveCost(h100, ask("allGather", 2 ** 26, [8, 8])).relStd,
    );
  });

  it("uses all of a rack's links beyond the measured rank counts", () => {
    const rack = clusterFromShorthand("gb200-nvl72");
    const at4 = busGBps(rack, "allGather", [4]);
    expect(busGBps(rack, "allGather", [64])).toBeGreaterThan(0.85 * at4);
    expect(busGBps(rack, "allGather", [64])).toBeLessThan(900);
    expect(sec(rack, "allGather", 1e4, [64])).toBeGreaterThan(sec(rack, "allGather", 1e4, [8]));
  });

  it("gives a pair in a full mesh only its own link", () => {
    const mi300x = clusterFromShorthand("8xmi300x");
    expect(reachableBytesPerSec(mi300x.levels[0]!, 2)).toBeCloseTo(64e9, -6);
    expect(busGBps(mi300x, "allReduce", [2])).toBeLessThan(50);
    expect(busGBps(mi300x, "allReduce", [8])).toBeGreaterThan(280);
  });

  it("bounds a torus all-to-all by its bisection and uses only the axes a group spans", () => {
    const slice = clusterFromShorthand("256xtpu-v5e").levels[0]!;
    expect(reachableBytesPerSec(slice, 16)).toBe(90e9);
    expect(reachableBytesPerSec(slice, 256)).toBe(180e9);
    // Two axes of 16, four links of 45 GB/s: 2 x 16 S / (8 x 45 GB/s x efficiency).
    expect(levelSec(slice, "allToAll", 1e9, 256, "auto")).toBeGreaterThan((2 * 16 * 1e9) / (8 * 45e9));
  });
});

describe("collectives across nodes", () => {
  it("is bound by NICs for large messages and never beats the wire", () => {
    for (const nodes of [2, 4, 16, 64]) {
      const ranks = 8 * nodes;
      const nicBound = (2 * ((nodes - 1) / nodes) * 1e10) / 8 / 50e9;
      expect(sec(h100, "allReduce", 1e10, [8, ranks])).toBeGreaterThan(nicBound);
      expect(sec(h100, "allReduce", 1e10, [8, ranks])).toBeLessThan(
        2.2 * Math.max(nicBound, sec(h100, "allReduce", 1e10, [8, 8])),
      );
    }
    expect(busGBps(h100, "allGather", [1, 8])).toBeLessThan(50);
    expect(busGBps(h100, "allGather", [1, 8])).toBeGreaterThan(40);
  });

  it("reproduces the published 2-node p5 all-reduce from 16 MB up", () => {
    // awslabs/awsome-distributed-training: 2 x p5.48xlarge, nccl-tests, microseconds.
    const p5 = clusterFromShorthand("2xaws-p5");
    const measured: readonly [number, number][] = [
      [16777216, 298.1],
      [67108864, 601.5],
      [268435456, 1468.2],
      [1073741824, 4607.6],
      [17179869184, 66132],
    ];
    const errors = measured.map(([size, micros]) => Math.abs((sec(p5, "allReduce", size, [8, 16]) * 1e6) / micros - 1));
    expect(errors.reduce((a, b) => a + b, 0) / errors.length).toBeLessThan(0.08);
  });

  it("costs more per byte the fewer ranks share a node, and with oversubscription", () => {
    const base = sec(h100, "allGather", 1e9, [8, 64]);
    expect(sec(h100, "allGather", 1e9, [4, 64])).toBeGreaterThan(base);
    expect(sec(h100, "allGather", 1e9, [1, 64])).toBeGreaterThan(sec(h100, "allGather", 1e9, [2, 64]));
    const thin = clusterFromDescription({
      device: "h100",
      nodes: 64,
      fabric: { kind: "fat-tree", oversubscription: 4, nodes_per_leaf: 4 },
    });
    const wide = clusterFromDescription({
      device: "h100",
      nodes: 64,
      fabric: { kind: "fat-tree", oversubscription: 1, nodes_per_leaf: 4 },
    });
    expect(sec(thin, "allToAll", 1e8, [8, 32, 512])).toBeGreaterThan(3 * sec(wide, "allToAll", 1e8, [8, 32, 512]));
    expect(sec(thin, "allToAll", 1e8, [8, 32])).toBeCloseTo(sec(wide, "allToAll", 1e8, [8, 32]), 9);
  });

  it("hides ring hops behind large messages only", () => {
    const small = sec(h100, "allGather", 1e4, [8, 512]);
    const ring = 63 * 5e-6;
    expect(small).toBeGreaterThan(ring);
    expect(sec(h100, "allGather", 1e10, [8, 512])).toBeLessThan(1.1 * (sec(h100, "allGather", 1e10, [8, 64]) + ring));
  });

  it("lets the caller name the algorithm", () => {
    const tree = sec(h100, "allReduce", 1e4, [8, 512], { algorithm: "tree" });
    const ring = sec(h100, "allReduce", 1e4, [8, 512], { algorithm: "ring" });
    expect(tree).toBeLessThan(ring);
    expect(sec(h100, "allReduce", 1e9, [8, 8], { algorithm: "inNetwork" })).toBeLessThan(
      sec(h100, "allReduce", 1e9, [8, 8], { algorithm: "ring" }),
    );
  });

  it("prices a send across nodes at less than a NIC", () => {
    const cost = collectiveCost(h100, ask("sendRecv", 1e9, [1, 2]));
    expect(1e9 / cost.durationSec).toBeLessThan(50e9);
    expect(1e9 / cost.durationSec).toBeGreaterThan(30e9);
    expect(sec(h100, "sendRecv", 1e9, [2, 2])).toBeLessThan(cost.durationSec / 5);
  });
});

describe("every collective", () => {
  const clusters = [
    "64xh100",
    "64xa100",
    "64xb200",
    "64xmi300x",
    "64xmi250x",
    "gb200-nvl72x2",
    "8xl4",
    "8xa100-pcie",
    "256xtpu-v5e",
    "32xv100",
    "16xgaudi3",
  ].map((name) => clusterFromShorthand(name));

  it("is finite and positive, knows its source, and is free for one rank or no bytes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...clusters),
        fc.constantFrom(...OPS),
        fc.integer({ min: 0, max: 33 }),
        fc.integer({ min: 2, max: 64 }),
        (cluster, op, exponent, wanted) => {
          const ranks = Math.min(wanted, cluster.numDevices);
          const spans = cluster.levels.map((level) => Math.min(ranks, level.numDevices));
          const cost = collectiveCost(cluster, ask(op, 2 ** exponent, spans));
          expect(cost.durationSec).toBeGreaterThan(1e-6);
          expect(cost.durationSec).toBeLessThan(1000);
          expect(cost.relStd).toBeGreaterThan(0);
          expect(
            collectiveCost(
              cluster,
              ask(
                op,
                2 ** exponent,
                spans.map(() => 1),
              ),
            ).durationSec,
          ).toBe(0);
          expect(collectiveCost(cluster, ask(op, 0, spans)).durationSec).toBe(0);
        },
      ),
      { numRuns: 400 },
    );
  });

  it("does not get faster with eight times the bytes", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...clusters),
        fc.constantFrom(...OPS),
        fc.integer({ min: 8, max: 30 }),
        (cluster, op, exponent) => {
          const spans = cluster.levels.map((level) => level.numDevices);
          expect(sec(cluster, op, 2 ** (exponent + 3), spans)).toBeGreaterThanOrEqual(
            0.95 * sec(cluster, op, 2 ** exponent, spans),
          );
        },
      ),
    );
  });

  it("an all-reduce costs at least its larger half", () => {
    for (const cluster of clusters) {
      const spans = cluster.levels.map((level) => level.numDevices);
      expect(sec(cluster, "allReduce", 1e9, spans)).toBeGreaterThan(0.95 * sec(cluster, "reduceScatter", 1e9, spans));
    }
  });

  it("rejects nonsense as our own bug", () => {
    expect(() => collectiveCost(h100, ask("allReduce", Number.NaN, [8, 8]))).toThrow(/bug/);
    expect(() => collectiveCost(h100, ask("allReduce", 1, [8, 8, 8]))).toThrow(/bug/);
  });
});
