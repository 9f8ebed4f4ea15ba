import { describe, expect, it } from "vitest";
import { mat } from "../../reference/kernels/mat.ts";
import { roundMat, roundValues } from "./rounding.ts";

function rounded(values: readonly number[], dtype: Parameters<typeof roundValues>[1]): number[] {
  const data = Float32Array.from(values);
  roundValues(data, dtype);
  return [...data];
}

describe("roundValues()", () => {
  it("keeps 8 bits of bf16's significand, ties to even, and f32's range", () => {
    const [tieDown, tieUp] = [1 + 2 ** -8, 1 + 3 * 2 ** -8];
    expect(rounded([1, tieDown, tieUp, -1.005, 1.5 * 2 ** 127], "bf16")).toEqual([
      1,
      1,
      1 + 2 ** -6,
      -1.0078125,
      1.5 * 2 ** 127,
    ]);
  });

  it("keeps 11 bits of fp16's significand, its subnormals, and overflows to infinity", () => {
    expect(rounded([1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24, 2 ** -26, 65519, 65520, -70000], "fp16")).toEqual([
      1,
      1 + 2 ** -9,
      2 ** -24,
      0,
      65504,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
  });

  it("scales fp8 so that the largest value survives, with 3 bits of mantissa below it", () => {
    const [large, third] = rounded([896, 300], "fp8");
    expect(large).toBe(896);
    // The scale is 2, and values from 128 to 256 lie 16 apart.
    expect(third).toBe(288);
  });

  it("leaves zeros, infinities and formats of f32 alone", () => {
    expect(rounded([0, -0, Number.POSITIVE_INFINITY], "bf16")).toEqual([0, -0, Number.POSITIVE_INFINITY]);
    expect(rounded([0, 0], "fp8")).toEqual([0, 0]);
    expect(rounded([0.1], "fp32")).toEqual([Math.fround(0.1)]);
  });
});

describe("roundMat()", () => {
  it("scales each block of 32 columns of mxfp8 by a power of two of its own", () => {
    const m = mat(1, 64);
    m.data.fill(1.0625, 0, 32);
    m.data.fill(1.0625e6, 32, 64);
    roundMat(m, "mxfp8");
    const [low, high] = [m.data[0]!, m.data[40]!];
    expect(low).toBe(1);
    expect(Math.abs(high / 1.0625e6 - 1)).toBeLessThan(1 / 16);
    expect(high).not.toBe(0);
  });

  it("touches nothing outside a window", () => {
    const m = mat(3, 4);
    m.data.fill(1 / 3);
    roundMat({ ...m, rows: 3, cols: 2, offset: 1 }, "bf16");
    expect(m.data[0]).toBe(1 / 3);
    expect(m.data[1]).not.toBe(1 / 3);
    expect(m.data[3]).toBe(1 / 3);
  });
});
