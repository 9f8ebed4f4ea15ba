import { describe, expect, it } from "vitest";
import { logCurves, predictMissing } from "./completeGrid.ts";
import type { RawCurve } from "./readTables.ts";
import { smoothNoisy } from "./smoothNoisy.ts";

/** Start-up, then a jump at 64 where the library changes its algorithm, then traffic. */
function kinked(scale: number, without: readonly number[] = []): RawCurve {
  const sizes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
  const points = sizes
    .filter((s) => !without.includes(s))
    .map((s): [number, number] => [s, scale * (s < 64 ? 10 : 18 + s / 10)]);
  return { system: `s${scale}`, key: ["all_reduce", "nccl", 8, 1, "fp16"], points: new Map(points) };
}

describe("completing a grid", () => {
  it("finds a kink inside a hole from curves that show it", () => {
    const target = kinked(1, [32]);
    const all = logCurves([target, kinked(1.1), kinked(0.9)]);
    const value = predictMissing(all, all[0]!, [32]).get(32)!;
    expect(value).toBeCloseTo(10, 0);
    const alone = logCurves([target]);
    expect(predictMissing(alone, alone[0]!, [32]).get(32)!).toBeGreaterThan(14);
  });

  it("extends an end by the slope of its peers", () => {
    const all = logCurves([kinked(1, [512]), kinked(1.1), kinked(0.9)]);
    expect(predictMissing(all, all[0]!, [512]).get(512)!).toBeCloseTo(69.2, 0);
  });
});

describe("smoothing", () => {
  it("leaves clean curves alone", () => {
    const clean = new Map(Array.from({ length: 20 }, (_, i): [number, number] => [2 ** i, 10 + 2 ** i / 1000]));
    expect(smoothNoisy(clean)).toEqual(clean);
  });

  it("pulls outliers of a rough stretch to the low majority", () => {
    const rough = new Map(
      Array.from({ length: 21 }, (_, i): [number, number] => [1000 * 1.3 ** i, i % 3 === 2 ? 40 : 10]),
    );
    const smooth = [...smoothNoisy(rough).values()].slice(3, -3);
    for (const value of smooth) expect(value).toBeLessThan(20);
  });
});
