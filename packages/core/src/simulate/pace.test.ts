import { expect, it } from "vitest";
import { clusterFromShorthand } from "../cluster/index.ts";
import type { PricedOp } from "../cost/priceOps.ts";
import { softwarePreset } from "../parallel/software/index.ts";
import { defaultPace, type Pace, paced, paceOf } from "./pace.ts";

const op = (change: Partial<PricedOp>): PricedOp => ({
  op: { kind: "copy", stream: "compute", x: 0, out: 1 },
  name: "op",
  kind: "compute",
  durationSec: 1,
  relStd: 0,
  source: "table",
  numLaunches: 1,
  workFlops: 0,
  sizeBytes: 0,
  joules: 0,
  matrix: false,
  level: -1,
  unitFree: false,
  ...change,
});

it("older libraries are slower on a young architecture, and a derived part inherits its architecture's age", () => {
  const rate = (device: string, date: string): number =>
    paceOf(clusterFromShorthand(`8x${device}`), { ...softwarePreset("generic"), date }, 1, defaultPace).matrixFrac;
  expect(rate("h100-sxm", "2023-06")).toBeLessThan(rate("h100-sxm", "2025-06"));
  expect(rate("h100-sxm", "2040")).toBeCloseTo(1, 3);
  expect(rate("h200", "2025-06")).toBe(rate("h100-sxm", "2025-06"));
  expect(rate("b200", "2025-01")).toBeCloseTo(1 / (1 + defaultPace.libraryGapFrac), 1);
});

const pace: Pace = {
  ...{ memoryFrac: 0.5, networkFrac: 0.25, matrixFrac: 0.8, clockFrac: 0.9, lostFrac: 0 },
  ...{ kernelsInStep: false, networkInStep: false },
};

it("takes what was measured inside steps as it is, but for the clock, and what was measured in loops like a table", () => {
  const measured = (change: Partial<PricedOp>) => op({ source: "measured", ...change });
  const inStep = { ...pace, kernelsInStep: true, networkInStep: true };
  expect(paced(measured({ matrix: true }), inStep).durationSec).toBeCloseTo(1 / 0.9, 12);
  expect(paced(measured({}), inStep).durationSec).toBe(1);
  expect(paced(measured({ level: 0, kind: "tp" }), inStep).durationSec).toBe(1);
  // What the calibration does not hold is priced from tables as before.
  expect(paced(op({}), inStep).durationSec).toBe(2);
  expect(paced(measured({}), { ...inStep, kernelsInStep: false }).durationSec).toBe(2);
  expect(paced(measured({ level: 0, kind: "tp" }), { ...inStep, networkInStep: false }).durationSec).toBe(4);
});

it("slows matrix work by clock and library, memory-bound work by bandwidth, collectives by skew, and leaves host copies alone", () => {
  expect(paced(op({ matrix: true }), pace).durationSec).toBeCloseTo(1.25, 12);
  expect(paced(op({}), pace).durationSec).toBe(2);
  expect(paced(op({ level: 0, kind: "tp" }), pace).durationSec).toBe(4);
  expect(paced(op({ kind: "copy" }), pace).durationSec).toBe(1);
});
