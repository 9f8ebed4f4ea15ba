import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupPlacement, stridedPlacement } from "./placement.ts";
import { clusterFromShorthand } from "./shorthand.ts";

const range = (start: number, stride: number, size: number): number[] =>
  Array.from({ length: size }, (_, i) => start + i * stride);

describe("group placement", () => {
  const dgx = clusterFromShorthand("64xh100");
  const gcds = clusterFromShorthand("64xmi250x");

  it("counts the ranks that share each level", () => {
    expect(groupPlacement(dgx, range(0, 1, 8))).toEqual({ size: 8, spans: [8, 8] });
    expect(groupPlacement(dgx, range(0, 8, 8))).toEqual({ size: 8, spans: [1, 8] });
    expect(groupPlacement(dgx, range(4, 1, 8))).toEqual({ size: 8, spans: [4, 8] });
    expect(groupPlacement(gcds, range(0, 1, 16))).toEqual({ size: 16, spans: [2, 8, 16] });
    expect(groupPlacement(dgx, [0, 1, 2, 8, 9, 16])).toEqual({ size: 6, spans: [3, 6] });
    expect(() => groupPlacement(dgx, [64])).toThrow(/rank 64/);
  });

  it("strided closed form equals counting", () => {
    fc.assert(
      fc.property(
        fc.nat(63),
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 40 }),
        fc.constantFrom(dgx, gcds),
        (start, stride, size, cluster) => {
          fc.pre(start + stride * (size - 1) < cluster.numDevices);
          expect(stridedPlacement(cluster, { start, stride, size })).toEqual(
            groupPlacement(cluster, range(start, stride, size)),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  it("places a group of 100,000 ranks quickly", () => {
    const big = clusterFromShorthand("100000xh100");
    const before = Date.now();
    expect(groupPlacement(big, range(0, 1, 100_000)).spans).toEqual([8, 100_000]);
    expect(Date.now() - before).toBeLessThan(300);
  });
});
