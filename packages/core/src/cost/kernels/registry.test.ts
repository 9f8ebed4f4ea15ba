import { describe, expect, it } from "vitest";
import { devices } from "../../cluster/index.ts";
import type { DeviceSpec } from "../../cluster/types.ts";
import type { PackedFamily, PackedTable } from "./gridTable.ts";
import { TableFamily } from "./registry.ts";

const byId: ReadonlyMap<string, DeviceSpec> = new Map(devices.map((device) => [device.id, device]));
const device = (id: string): DeviceSpec => byId.get(id) as DeviceSpec;
const table = (id: string, dtype: string, numSlices = 5000): PackedTable => ({
  device: id,
  dtype,
  engine: "",
  operands: "random",
  params: [],
  relStd: 0.1,
  slices: Array.from({ length: numSlices }, (_, index) => index),
  axes: [[1]],
  offset: 0,
  scale: 1,
  values: "",
});
const family = (...tables: PackedTable[]): PackedFamily => ({
  note: "",
  slices: Array.from({ length: 5000 }, (_, index) => [index, index]),
  tables,
});
const named = (target: TableFamily, id: string, dtype: string): [string, number][] => {
  const choice = target.choices(device(id), dtype).at(-1);
  return (
    choice?.tables.map(({ packed }, index) => [`${packed.device} ${packed.dtype}`, choice.weights[index] as number]) ??
    []
  );
};

describe("TableFamily", () => {
  it("prefers the own table and says so", () => {
    const choices = new TableFamily(family(table("h100_sxm", "bf16"), table("a100_sxm", "bf16")), byId).choices(
      device("a100_sxm"),
      "bf16",
    );
    expect(choices[0]?.own).toBe(true);
    expect(choices[0]?.tables[0]?.packed.device).toBe("a100_sxm");
  });

  it("lets a twin answer alone and averages what is equally far", () => {
    const tables = new TableFamily(
      family(table("h100_sxm", "bf16"), table("a100_sxm", "bf16"), table("b200_sxm", "bf16")),
      byId,
    );
    const twin = named(tables, "h200_sxm", "bf16");
    expect(twin[0]?.[0]).toBe("h100_sxm bf16");
    expect(twin[0]?.[1]).toBeGreaterThan(0.99);
    const far = named(tables, "l40s", "bf16");
    expect(Math.max(...far.map(([, weight]) => weight))).toBeLessThan(0.6);
    expect(far.reduce((sum, [, weight]) => sum + weight, 0)).toBeCloseTo(1, 12);
  });

  it("believes a table of a few shapes less than a full one that is farther", () => {
    const weightOfTwin = (numSlices: number): number =>
      named(
        new TableFamily(family(table("mi300x", "int8", numSlices), table("mi355x", "fp8")), byId),
        "mi355x",
        "int8",
      ).find(([name]) => name === "mi300x int8")?.[1] ?? 0;
    expect(weightOfTwin(5000)).toBeGreaterThan(0.9);
    expect(weightOfTwin(25)).toBeLessThan(0.5);
  });

  it("keeps to the format where kernels are written per format", () => {
    const packed = family(table("l40s", "bf16"), table("b200_sxm", "fp8"));
    const weightOfFormat = (weight: number): number =>
      named(new TableFamily(packed, byId, weight), "l40s", "fp8").find(([name]) => name === "b200_sxm fp8")?.[1] ?? 0;
    expect(weightOfFormat(1.5)).toBeGreaterThan(2 * weightOfFormat(1));
  });

  it("takes weights of one kind from a near architecture as soon as those of another kind from the device", () => {
    const tables = new TableFamily(family(table("b200_sxm", "w4a16_mxfp4"), table("h100_sxm", "int4_wo")), byId);
    const weights = named(tables, "b200_sxm", "int4_wo").map(([, weight]) => weight);
    expect(Math.min(...weights)).toBeGreaterThan(0.4);
  });
});
