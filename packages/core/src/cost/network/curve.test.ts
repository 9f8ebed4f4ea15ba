import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { curveMicros } from "./curve.ts";

const curve = { sizes: [1, 10, 100, 1000], micros: [5, 5, 20, 200] };

describe("a measured curve", () => {
  it("passes through its points, with and without a start-up share", () => {
    curve.sizes.forEach((size, i) => {
      expect(curveMicros(curve, size)).toBeCloseTo(curve.micros[i]!, 9);
      expect(curveMicros(curve, size, 0.9)).toBeCloseTo(curve.micros[i]!, 9);
    });
  });

  it("is straight in log-log space between points", () => {
    expect(curveMicros(curve, Math.sqrt(100 * 1000))).toBeCloseTo(Math.sqrt(20 * 200), 9);
  });

  it("is exact for start-up plus traffic when the start-up is known", () => {
    const affine = { sizes: [1, 1000, 1e6], micros: [10.001, 20, 10_010] };
    expect(curveMicros(affine, 30_000, 0.9999)).toBeCloseTo(310, -1);
    expect(curveMicros(affine, 4e6, 0.9999)).toBeCloseTo(40_010, -1);
  });

  it("is constant below and at most proportional above", () => {
    expect(curveMicros(curve, 0.01)).toBe(5);
    expect(curveMicros(curve, 1e6)).toBeCloseTo(200_000, 6);
    const kink = { sizes: [1, 2], micros: [10, 10] };
    expect(curveMicros(kink, 20)).toBeCloseTo(10 + 18 * 4, 9);
  });

  it("never falls when its points do not", () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 1e5, noNaN: true }),
        fc.double({ min: 1, max: 3, noNaN: true }),
        (size, factor) => {
          expect(curveMicros(curve, size * factor)).toBeGreaterThanOrEqual(curveMicros(curve, size) - 1e-9);
        },
      ),
    );
  });
});
