import { expect, test } from "vitest";
import { Lost, lostTogether } from "./lost.ts";

const us = 1e-6;

test("Lost takes a call that lasts far longer than its like for an interruption, and no second for both", () => {
  const lost = new Lost();
  const calls = [30 * us, 31 * us, 29 * us, 30 * us, 3030 * us];
  expect(lost.meanOfRest(calls)).toBeCloseTo(30 * us, 9);
  const { busySec, count, sumSec, sumSquares } = lost.time();
  expect(count).toBe(1);
  expect(sumSec).toBeCloseTo(3e-3, 9);
  expect(sumSquares).toBeCloseTo(9e-6, 12);
  expect(busySec + sumSec).toBeCloseTo(
    calls.reduce((a, b) => a + b),
    12,
  );
});

test("Lost leaves what an op varies by in its mean: short delays, and of long calls what is no longer than they are", () => {
  const lost = new Lost();
  expect(lost.meanOfRest([30 * us, 30 * us, 200 * us])).toBeCloseTo((260 / 3) * us, 9);
  expect(lost.meanOfRest([10e-3, 10e-3, 13e-3])).toBeCloseTo(11e-3, 9);
  expect(lost.time().count).toBe(0);
});

test("ranks' losses add up", () => {
  const [a, b] = [new Lost(), new Lost()];
  a.meanOfRest([1e-3, 1e-3, 9e-3]);
  b.meanOfRest([1e-3, 1e-3, 1e-3]);
  const { busySec, count, sumSec } = lostTogether([a.time(), b.time()]);
  expect([busySec, count, sumSec].map((n) => Number(n.toFixed(6)))).toEqual([6e-3, 1, 8e-3]);
});
