import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { clusterFromDescription } from "./description.ts";
import { deviceFromDescription } from "./deviceDescription.ts";
import { clusterFromShorthand } from "./shorthand.ts";

function findingsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (error instanceof InputError) return error.findings.map((f) => f.path);
    throw error;
  }
  return [];
}

describe("cluster description", () => {
  it("gives what the shorthand gives for the same facts", () => {
    expect(clusterFromDescription("64xh100-sxm")).toEqual(clusterFromShorthand("64xh100-sxm"));
    expect(clusterFromDescription({ name: "64xh100-sxm", device: "h100-sxm", nodes: 8, gpus_per_node: 8 })).toEqual(
      clusterFromShorthand("64xh100-sxm"),
    );
    expect(clusterFromDescription({ name: "16xaws-p5", platform: "aws-p5", nodes: 16 })).toEqual(
      clusterFromShorthand("16xaws-p5"),
    );
  });

  it("takes NICs, a fat tree with oversubscription, and camelCase keys", () => {
    const cluster = clusterFromDescription({
      device: "h100-sxm",
      nodes: 64,
      gpusPerNode: 8,
      nics: { count: 4, speed: "400Gb/s" },
      fabric: { kind: "fat-tree", type: "roce", oversubscription: 2, nodesPerLeaf: 4, latency: "7us" },
      host: { memory: "1TiB" },
      usdPerDeviceHour: "$3",
    });
    expect(cluster.levels.map((l) => [l.name, l.numDevices, l.bytesPerSec])).toEqual([
      ["node", 8, 450e9],
      ["leaf", 32, 25e9],
      ["spine", 512, 12.5e9],
    ]);
    expect(cluster.levels[1]?.latencySec).toBeCloseTo(7e-6, 12);
    expect(cluster.node).toMatchObject({ numNics: 4, nicBytesPerSec: 50e9, hostMemoryBytes: 2 ** 40 });
    expect(cluster.usdPerDeviceHour).toBe(3);
  });

  it("applies oversubscription to all traffic out of the node when no leaf is named", () => {
    const cluster = clusterFromDescription({
      device: "h100",
      nodes: 4,
      fabric: { kind: "fat-tree", oversubscription: 2 },
    });
    expect(cluster.levels.at(-1)?.bytesPerSec).toBe(25e9);
  });

  it("takes explicit levels and tori", () => {
    const cluster = clusterFromDescription({
      device: "gb200",
      levels: [
        { name: "tray", kind: "nvlink", devices: 4, bandwidth: "900GB/s" },
        { name: "fabric", kind: "infiniband", devices: 64, bandwidth: "800Gb/s", latency: "4us" },
      ],
    });
    expect(cluster.numDevices).toBe(64);
    expect(cluster.levels.map((l) => l.name)).toEqual(["tray", "fabric"]);
    expect(
      clusterFromDescription({ device: "tpu-v5p", gpus: 128, scale_up: { dims: "4x4x8" } }).levels[0]?.torusDims,
    ).toEqual([4, 4, 8]);
  });

  it("reports every finding at once", () => {
    const paths = findingsOf(() =>
      clusterFromDescription({
        device: "h10x",
        nodes: 2,
        gpus_per_node: 8,
        gpus: 32,
        nics: { speed: "fast", count: 1.5 },
        fabric: { oversubscription: 0.5, type: "string" },
        colour: "red",
      }),
    );
    expect(paths.sort()).toEqual(
      [
        "cluster.colour",
        "cluster.device",
        "cluster.fabric.oversubscription",
        "cluster.fabric.type",
        "cluster.nics.count",
        "cluster.nics.speed",
        "cluster.nodes",
      ].sort(),
    );
  });

  it("refuses levels that do not nest, contradicting counts and nonsense", () => {
    expect(
      findingsOf(() =>
        clusterFromDescription({
          device: "h100",
          levels: [
            { devices: 8, bandwidth: 1e9 },
            { devices: 12, bandwidth: 1e9 },
          ],
        }),
      ),
    ).toContain("cluster.levels[1].devices");
    expect(findingsOf(() => clusterFromDescription({ device: "h100", gpus: 8, devices: 16 }))).toContain(
      "cluster.gpus",
    );
    expect(findingsOf(() => clusterFromDescription({ device: "h100" }))).toContain("cluster.nodes");
    expect(findingsOf(() => clusterFromDescription({ device: "h100", nodes: Number.NaN }))).toContain("cluster.nodes");
    expect(findingsOf(() => clusterFromDescription(7))).toContain("cluster");
  });
});

describe("device description", () => {
  it("overrides figures of a catalogue part and says so", () => {
    const device = deviceFromDescription({
      base: "h100",
      name: "H100 at 500 W",
      tdp: "500W",
      memory: "96GiB",
      memory_bandwidth: "2.4TB/s",
    });
    expect(device).toMatchObject({ tdpWatts: 500, memoryBytes: 96 * 2 ** 30, memoryBytesPerSec: 2.4e12, units: 132 });
    expect(device.id).not.toBe("h100_sxm");
    expect(device.basedOn).toBe("h100_sxm");
    expect(device.source.tdpWatts).toBe("given by the user");
    expect(device.source.units).not.toBe("given by the user");
  });

  it("keeps the part, and so its measured tables, when only the price changes", () => {
    expect(deviceFromDescription({ base: "h100", price_usd_per_hour: 2 })).toMatchObject({
      id: "h100_sxm",
      priceUsdPerHour: 2,
    });
  });

  it("derives what a new part leaves out and marks it assumed", () => {
    const device = deviceFromDescription({
      name: "X1",
      peak: { bf16: "400TFLOP/s", fp8: "800TFLOP/s" },
      memory: "64GiB",
      memory_bandwidth: "2TB/s",
      scale_up: { type: "NVLink 4", bandwidth: "200GB/s", domain: 8 },
    });
    expect(device.peakFlopsPerSec).toMatchObject({ bf16: 400e12, fp16: 400e12, fp8_block: 800e12 });
    expect(device.scaleUp).toMatchObject({ kind: "switch", bytesPerSec: 200e9, domain: 8 });
    expect(device.source.tdpWatts).toBe("assumed");
    expect(device.source.fp16).toMatch(/assumed/);
  });

  it("takes a bandwidth between devices for a switch, and refuses figures of another kind of link", () => {
    const own = { name: "X1", peak: { bf16: "400TFLOP/s" }, memory: "64GiB", memory_bandwidth: "2TB/s" };
    const levelOf = (description: object) => clusterFromDescription({ gpus: 16, ...description }).levels[0];
    const expected = { shape: "switch", numDevices: 8, bytesPerSec: 300e9 };
    expect(levelOf({ device: own, scale_up: { bandwidth: "300GB/s" } })).toMatchObject(expected);
    expect(levelOf({ device: { ...own, scale_up: { bandwidth: "300GB/s" } } })).toMatchObject(expected);
    expect(levelOf({ device: own })).toMatchObject({ kind: "pcie", shape: "bus" });
    const scaleUp = (facts: object) =>
      findingsOf(() => clusterFromDescription({ device: "h100", gpus: 16, scale_up: facts }));
    expect(scaleUp({ kind: "none", bandwidth: "1GB/s" })).toEqual(["cluster.scale_up.kind"]);
    expect(scaleUp({ pair_bandwidth: "1GB/s" })).toEqual(["cluster.scale_up.pair_bandwidth"]);
    expect(scaleUp({ dims: "2x2" })).toEqual(["cluster.scale_up.dims"]);
  });

  it("names everything that is missing or wrong", () => {
    expect(findingsOf(() => deviceFromDescription({ name: "X1" }, "device")).sort()).toEqual([
      "device.memory",
      "device.memory_bandwidth",
      "device.peak",
    ]);
    expect(findingsOf(() => deviceFromDescription({ base: "h1000", memory: -1, peak: { bf17: 1 } }, "device"))).toEqual(
      expect.arrayContaining(["device.base", "device.memory", "device.peak.bf17"]),
    );
  });
});
