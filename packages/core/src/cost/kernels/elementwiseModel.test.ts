import { describe, expect, it } from "vitest";
import { devices } from "../../cluster/index.ts";
import type { DeviceSpec } from "../../cluster/types.ts";
import { ELEMENTWISE_OPS, ELEMENTWISE_PARAMS, elementwiseSeconds } from "./elementwiseModel.ts";

const device = (id: string): DeviceSpec => devices.find((entry) => entry.id === id) as DeviceSpec;
const params = ELEMENTWISE_PARAMS.map(({ start }) => start);
const withRate = (op: string, rate: number): number[] =>
  params.map((value, index) => (ELEMENTWISE_PARAMS[index]?.name === `issue ${op}` ? rate : value));
const embedding = ELEMENTWISE_OPS.indexOf("embedding");

describe("elementwiseSeconds()", () => {
  it("does not run an instruction-bound kernel faster on twice the memory bandwidth", () => {
    const slow = withRate("embedding", 1);
    const h100 = device("h100_sxm");
    const wide = { ...h100, memoryBytesPerSec: 2 * h100.memoryBytesPerSec };
    const at = (part: DeviceSpec, op: number): number => elementwiseSeconds(part, op, 1e9, slow);
    expect(at(wide, embedding) / at(h100, embedding)).toBeGreaterThan(0.98);
    expect(
      at(wide, ELEMENTWISE_OPS.indexOf("residual_add")) / at(h100, ELEMENTWISE_OPS.indexOf("residual_add")),
    ).toBeLessThan(0.9);
  });

  it("streams at the memory's rate beyond L2 and at the units' below", () => {
    const l40s = device("l40s");
    const seconds = (sizeBytes: number): number => elementwiseSeconds(l40s, -1, sizeBytes, params);
    expect(2e9 / seconds(2e9)).toBeLessThan(l40s.memoryBytesPerSec);
    expect(30e6 / seconds(30e6)).toBeGreaterThan(2 * l40s.memoryBytesPerSec);
  });

  it("costs the floor without bytes, a number of clocks, and never a number that is none", () => {
    const clocks = (part: DeviceSpec): number => elementwiseSeconds(part, 0, 0, params) * part.boostHz;
    expect(clocks(device("a40"))).toBeCloseTo(4200, 6);
    expect(clocks(device("a100_sxm"))).toBeCloseTo(4200, 6);
    for (const part of devices) expect(elementwiseSeconds(part, 0, 1e7, params)).toBeGreaterThan(2e-6);
  });
});
