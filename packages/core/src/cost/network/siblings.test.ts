import { describe, expect, it } from "vitest";
import { clusterFromDescription, clusterFromShorthand } from "../../cluster/index.ts";
import type { ClusterSpec } from "../../cluster/types.ts";
import { levelSec } from "./analytic.ts";
import { LL_SHARE, SOCKET_BYTES_PER_SEC } from "./params.ts";
import { type Ask, scaleUpEstimate } from "./scaleUp.ts";
import { type NetworkTables, shippedTables } from "./tables.ts";

const without = (...prefixes: string[]): NetworkTables => ({
  systems: shippedTables.systems.filter(({ id }) => !prefixes.some((prefix) => id.startsWith(prefix))),
  find: (key) => (prefixes.some((prefix) => key.system.startsWith(prefix)) ? undefined : shippedTables.find(key)),
});
const sec = (tables: NetworkTables, cluster: ClusterSpec, fields: Partial<Ask> = {}): number =>
  scaleUpEstimate(tables, cluster, cluster.levels, {
    op: "allGather",
    sizeBytes: 2 ** 28,
    ranks: 8,
    backend: "nccl",
    dtype: "float",
    ...fields,
  }).durationSec;

describe("siblings of an unmeasured link", () => {
  it("starts between what the measured systems start in", () => {
    const h100 = clusterFromShorthand("8xh100");
    const start = sec(without("h100"), h100, { sizeBytes: 512, ranks: 2 });
    const of = (system: string): number => {
      const table = shippedTables.find({ system, op: "allGather", backend: "nccl", dtype: "float", numNodes: 1 });
      return (table?.curves[0]?.micros[0] ?? 0) * 1e-6;
    };
    const starts = ["a100_sxm_nvlink8", "b200_sxm_nvlink8", "rtx_pro_6000_server_pcie8", "l40s_pcie8"].map(of);
    expect(start).toBeGreaterThan(Math.min(...starts));
    expect(start).toBeLessThan(Math.max(...starts));
  });

  it("starts later where the clock is slower, whatever the link", () => {
    // Of the parts with one die only H100 has these kernels once A100's table is gone.
    const start = { op: "allReduce", backend: "trtllm_custom", ranks: 2, sizeBytes: 512 } as const;
    const a100 = sec(without("a100"), clusterFromShorthand("8xa100"), start);
    const h100 = sec(shippedTables, clusterFromShorthand("8xh100"), start);
    expect(a100 / h100).toBeGreaterThan(1.15);
    expect(a100 / h100).toBeLessThan(1.45); // clocks: 1830 / 1410 MHz = 1.3
  });

  it("asks parts with as many dies how long a start takes", () => {
    const start = { ranks: 2, sizeBytes: 512 };
    const h100 = sec(without("h100"), clusterFromShorthand("8xh100"), start);
    const b200 = sec(without("b200"), clusterFromShorthand("8xb200"), start);
    const measured = sec(shippedTables, clusterFromShorthand("8xb200"), start);
    expect(b200 / measured).toBeCloseTo(1, 1);
    expect(h100).toBeLessThan(0.9 * b200);
  });

  it("moves long messages in proportion to the link", () => {
    const h800 = clusterFromShorthand("8xh800");
    const h100 = clusterFromShorthand("8xh100");
    expect(
      sec(shippedTables, h800, { sizeBytes: 2 ** 30 }) / sec(shippedTables, h100, { sizeBytes: 2 ** 30 }),
    ).toBeCloseTo(450 / 200, 1);
  });

  it("does not believe one system with an old kernel", () => {
    const b200 = clusterFromShorthand("8xb200");
    const custom = { op: "allReduce", backend: "vllm_custom", ranks: 2, sizeBytes: 2 ** 28 } as const;
    const left = sec(without("b200"), b200, custom);
    expect(left / sec(shippedTables, b200, custom)).toBeLessThan(1.15);
  });

  it("asks no peculiar box, and knows that a larger group crosses sockets", () => {
    const box = clusterFromDescription({ device: "rtx_pro_6000_server", nodes: 1 });
    const estimate = scaleUpEstimate(without("rtx_pro"), box, box.levels, {
      op: "allGather",
      sizeBytes: 2 ** 29,
      ranks: 8,
      backend: "nccl",
      dtype: "float",
    });
    expect(estimate.source).toBe("analytic");
    expect(((7 / 8) * 2 ** 29) / estimate.durationSec / SOCKET_BYTES_PER_SEC).toBeCloseTo(1, 2);
    const level = box.levels.at(-1)!;
    const pair = 2 ** 28 / levelSec(level, "allGather", 2 ** 29, 2, "auto");
    expect(pair).toBeGreaterThan(1.5 * SOCKET_BYTES_PER_SEC);
  });

  it("sends short messages over PCIe with half of the bytes flags, long ones in slices, whichever is faster", () => {
    const level = clusterFromDescription({ device: "rtx_pro_6000_server", nodes: 1 }).levels.at(-1)!;
    const of = (sizeBytes: number) => levelSec(level, "reduceScatter", sizeBytes, 8, "auto");
    const wire = (sizeBytes: number) => ((7 / 8) * sizeBytes) / SOCKET_BYTES_PER_SEC;
    expect(of(2 ** 17) - of(2 ** 16)).toBeCloseTo(wire(2 ** 16) / LL_SHARE, 9);
    expect(of(2 ** 29) / wire(2 ** 29)).toBeCloseTo(1, 2);
    for (let exponent = 9; exponent < 30; exponent++) {
      expect(of(2 ** (exponent + 1))).toBeGreaterThan(of(2 ** exponent));
      expect(of(2 ** exponent)).toBeLessThan(of(1) + wire(2 ** exponent) / LL_SHARE + 1e-12);
    }
  });
});
