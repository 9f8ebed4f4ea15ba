import { expect, test } from "vitest";
import { defaultNoise, expectedMaximum, noNoise, normalQuantile, stragglerFrac } from "./noise.ts";

test("normalQuantile() inverts the normal distribution at tabulated points", () => {
  for (const [p, z] of [
    [0.5, 0],
    [0.8413447461, 1],
    [0.9772498681, 2],
    [0.998650102, 3],
    [0.99996832876, 4],
    [0.001349898, -3],
  ] as const)
    expect(normalQuantile(p)).toBeCloseTo(z, 6);
});

test("expectedMaximum() meets the tabulated order statistics of the normal distribution", () => {
  // Harter, Biometrika 48 (1961): E of the largest of n.
  for (const [n, value] of [
    [2, 0.5642],
    [5, 1.163],
    [10, 1.5388],
    [100, 2.5076],
    [1000, 3.2414],
  ] as const)
    expect(Math.abs(expectedMaximum(n) - value) / value).toBeLessThan(0.05);
  expect(expectedMaximum(1)).toBe(0);
});

test("stragglerFrac() is about 2 % on one node and below 5 % on 4,096 devices", () => {
  const at = (numDevices: number) => stragglerFrac({ numDevices, devicesPerNode: 8 }, defaultNoise);
  expect(at(1)).toBe(0);
  expect(at(8)).toBeCloseTo(0.0172, 3);
  expect(at(4096)).toBeGreaterThan(0.028);
  expect(at(4096)).toBeLessThan(0.05);
  expect(stragglerFrac({ numDevices: 4096, devicesPerNode: 8 }, noNoise)).toBe(0);
});
