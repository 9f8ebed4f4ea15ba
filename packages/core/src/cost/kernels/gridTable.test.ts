import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64, encodeBase64, GridTable, locate, type PackedTable } from "./gridTable.ts";

const bytes = Uint8Array.from({ length: 24 }, (_, i) => (37 * i) % 256);
const packed: PackedTable = {
  device: "d",
  dtype: "bf16",
  engine: "",
  operands: "random",
  params: [],
  relStd: 0.1,
  slices: [1, 0],
  axes: [
    [1, 4, 64],
    [2, 16, 128, 1024],
  ],
  offset: -0.5,
  scale: 0.01,
  values: encodeBase64(bytes),
};
const table = new GridTable(packed, [
  [8, 2],
  [16, 4],
]);

/** Value by the definition: bilinear in log2 of the coordinates, clamped at the ends. */
function slowAt(slice: number, a: number, b: number): number {
  const axisA = packed.axes[0] as readonly number[];
  const axisB = packed.axes[1] as readonly number[];
  const weight = (axis: readonly number[], node: number, value: number): number => {
    const at = Math.min(axis.at(-1) as number, Math.max(axis[0] as number, value));
    const i = axis.indexOf(node);
    const below = axis[i - 1];
    const above = axis[i + 1];
    if (at === node) return 1;
    if (at < node) return below === undefined || at <= below ? 0 : Math.log2(at / below) / Math.log2(node / below);
    return above === undefined || at >= above ? 0 : Math.log2(above / at) / Math.log2(above / node);
  };
  let sum = 0;
  axisA.forEach((nodeA, i) => {
    axisB.forEach((nodeB, j) => {
      sum += weight(axisA, nodeA, a) * weight(axisB, nodeB, b) * (bytes[slice * 12 + i * 4 + j] as number);
    });
  });
  return packed.offset + packed.scale * sum;
}

describe("GridTable", () => {
  it("interpolates like the definition, inside and outside the grid", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1 }),
        fc.double({ min: 0.5, max: 200, noNaN: true }),
        fc.double({ min: 1, max: 4000, noNaN: true }),
        (slice, a, b) => {
          const positions = [
            locate(packed.axes[0] as readonly number[], a),
            locate(packed.axes[1] as readonly number[], b),
          ];
          expect(table.at(slice, positions)).toBeCloseTo(slowAt(slice, a, b), 9);
        },
      ),
    );
  });

  it("finds slices by coordinates in its own order and blends towards the nearest", () => {
    expect(table.findSlice([16, 4])).toBe(0);
    expect(table.findSlice([8, 2])).toBe(1);
    expect(table.findSlice([9, 2])).toBe(-1);
    const near = table.nearest([17, 4], () => Float64Array.from([0.1, 1]));
    expect(near.indices[0]).toBe(0);
    expect(near.weights[0]).toBeGreaterThan(0.95);
    expect(near.weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
  });
});

describe("locate()", () => {
  it("skips nodes that are not usable, but takes an exact one", () => {
    const nodes = [8, 9, 64];
    const aligned = (node: number): boolean => node % 8 === 0;
    expect(locate(nodes, 16, aligned)).toMatchObject({ low: 0, high: 2 });
    expect(locate(nodes, 9, aligned)).toEqual({ low: 1, high: 1, frac: 0 });
    expect(locate([0, 16], 4).frac).toBeCloseTo(0.25);
  });
});

describe("base64", () => {
  it("returns what went in", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), (input) => {
        expect(decodeBase64(encodeBase64(input))).toEqual(input);
      }),
    );
    expect(encodeBase64(Uint8Array.from([77, 97, 110, 77]))).toBe("TWFuTQ==");
  });
});
