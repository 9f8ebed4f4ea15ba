import { expect, test } from "vitest";
import { linearScale, logDomain, logScale, roundAxis } from "./scale.ts";

test("a linear scale maps its ends and has round ticks inside them", () => {
  const scale = linearScale({ domain: [0, 73], range: [10, 110] });
  expect([scale.at(0), scale.at(73)]).toEqual([10, 110]);
  expect(scale.ticks).toEqual([0, 20, 40, 60]);
  expect(linearScale({ domain: [-0.6, 0.6], range: [0, 1], numTicks: 6 }).ticks.map((each) => each.toFixed(1))).toEqual(
    ["-0.6", "-0.4", "-0.2", "0.0", "0.2", "0.4", "0.6"],
  );
});

test("a logarithmic scale maps equal ratios to equal distances", () => {
  const scale = logScale({ domain: [0.1, 1000], range: [0, 400] });
  expect(scale.at(1) - scale.at(0.1)).toBeCloseTo(scale.at(1000) - scale.at(100), 9);
  expect(scale.ticks).toEqual([0.1, 1, 10, 100, 1000]);
  expect(logScale({ domain: [90, 1100], range: [0, 1] }).ticks).toEqual([100, 200, 500, 1000]);
});

test("a domain leaves out what a logarithmic axis cannot show", () => {
  expect(logDomain([0, -1, Number.NaN])).toBeNull();
  expect(logDomain([0, 2, 8], 2)).toEqual([1, 16]);
});

test("a round axis holds the whole extent between round ends, also where all values are one", () => {
  expect(roundAxis({ from: 3, to: 73 }, 4)).toEqual({ from: 0, to: 80, ticks: [0, 20, 40, 60, 80] });
  const { from, to, ticks } = roundAxis({ from: 7, to: 7 }, 4);
  expect(from).toBeLessThanOrEqual(7);
  expect(to).toBeGreaterThan(from);
  expect([ticks[0], ticks.at(-1)]).toEqual([from, to]);
});
