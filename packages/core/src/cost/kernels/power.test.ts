import { describe, expect, it } from "vitest";
import { deviceByName } from "../../cluster/index.ts";
import { boostUtilisation, POWER_EXPONENT, sustainedClockFrac } from "./power.ts";

const h100 = deviceByName("h100_sxm");

describe("sustainedClockFrac()", () => {
  it("balances the power equation where the limit binds", () => {
    const joulesPerFlop = 1.3e-12;
    const clock = sustainedClockFrac(h100, "bf16", 0.85, { joulesPerFlop });
    expect(clock).toBeLessThan(1);
    const dynamicWatts = joulesPerFlop * (h100.peakFlopsPerSec.bf16 as number) * 0.85 * clock ** POWER_EXPONENT;
    expect(h100.idleWatts + dynamicWatts).toBeCloseTo(h100.tdpWatts, 6);
  });

  it("leaves boost clock alone where the limit does not bind", () => {
    expect(sustainedClockFrac(h100, "bf16", 0.2)).toBe(1);
    expect(sustainedClockFrac(deviceByName("a100_sxm"), "bf16", 0.8)).toBe(1);
    expect(sustainedClockFrac(deviceByName("a100_pcie"), "bf16", 0.8)).toBeLessThan(1);
  });

  it("obeys what the caller sets", () => {
    expect(sustainedClockFrac(h100, "bf16", 0.9, { clockFrac: 0.7 })).toBe(0.7);
    expect(sustainedClockFrac(h100, "bf16", 0.9, { powerCapWatts: 400 })).toBeLessThan(
      sustainedClockFrac(h100, "bf16", 0.9),
    );
    expect(sustainedClockFrac(h100, "bf16", 0.9, { joulesPerFlop: 0.5e-12 })).toBe(1);
  });
});

describe("boostUtilisation()", () => {
  it("undoes the clock that the power limit cost", () => {
    for (const [id, dtype] of [
      ["h100_sxm", "bf16"],
      ["t4", "fp32"],
      ["t4", "fp16"],
    ] as const)
      for (const busyFrac of [0.05, 0.4, 0.7, 0.95]) {
        const measured = busyFrac * sustainedClockFrac(deviceByName(id), dtype, busyFrac);
        expect(boostUtilisation(deviceByName(id), dtype, measured), `${id} ${busyFrac}`).toBeCloseTo(busyFrac, 9);
      }
  });

  it("says why fp32 runs at half of a T4's peak and at nearly all of a V100's", () => {
    expect(sustainedClockFrac(deviceByName("t4"), "fp32", 0.93)).toBeLessThan(0.65);
    expect(sustainedClockFrac(deviceByName("v100_sxm"), "fp32", 0.93)).toBeGreaterThan(0.93);
  });
});
