import { expect, test } from "vitest";
import { hide } from "./overlapExchange.ts";
import { emptyAction } from "./streams/simulateAction.ts";
import { NUM_SHARES, SHARES } from "./streams/streamOps.ts";

const EP = SHARES.indexOf("ep");

function action(computeSec: number, exchangeSec: number) {
  const shares = new Float64Array(NUM_SHARES);
  shares[0] = computeSec;
  shares[EP] = exchangeSec;
  return { ...emptyAction, durationSec: computeSec + exchangeSec, shares };
}

test("hide() takes the exchange away and gives compute what it loses to it", () => {
  const free = hide(action(10, 4), { pairedFrac: 1, rate: 1, unitFrac: 0 });
  expect(free.durationSec).toBeCloseTo(10, 12);
  const real = hide(action(10, 4), { pairedFrac: 1, rate: 0.8, unitFrac: 0.2 });
  expect(real.durationSec).toBeCloseTo(10 + (4 / 0.8) * 0.2, 12);
  expect(real.shares[EP]).toBeCloseTo(0, 12);
  expect(real.shares.reduce((a, b) => a + b, 0)).toBeCloseTo(real.durationSec, 12);
});

test("hide() leaves bare what no compute covers and what has no partner", () => {
  const long = hide(action(2, 10), { pairedFrac: 1, rate: 1, unitFrac: 0 });
  expect(long.shares[EP]).toBeCloseTo(8, 12);
  const few = hide(action(10, 4), { pairedFrac: 0.75, rate: 1, unitFrac: 0 });
  expect(few.shares[EP]).toBeCloseTo(1, 12);
  expect(hide(action(10, 0), { pairedFrac: 1, rate: 0.9, unitFrac: 0.1 }).durationSec).toBe(10);
});
