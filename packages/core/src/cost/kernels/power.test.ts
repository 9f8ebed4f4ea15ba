import { describe, expect, it } from "vitest";
import { deviceByName } from "../../cluster/index.ts";
import { POWER_EXPONENT, sustainedClockFrac } from "./power.ts";

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
