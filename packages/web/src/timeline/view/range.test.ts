import fc from "fast-check";
import { expect, test } from "vitest";
import { between, clamped, fitted, moved, revealed, ticks, zoomed } from "./range.ts";

const whole = { fromSec: 0, untilSec: 10 };

test("zooming keeps the time under the pointer in its place", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 2, max: 4, noNaN: true }),
      fc.double({ min: 1, max: 1e5, noNaN: true }),
      (aboutSec, factor) => {
        const range = { fromSec: 1, untilSec: 6 };
        const next = zoomed(range, factor, aboutSec, whole);
        const at = (r: typeof range) => (aboutSec - r.fromSec) / (r.untilSec - r.fromSec);
        expect(at(next)).toBeCloseTo(at(range), 6);
      },
    ),
    { seed: 2 },
  );
});

test("the range never leaves the whole by more than its margin, and never gets longer", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -50, max: 50, noNaN: true }),
      fc.double({ min: 0.01, max: 100, noNaN: true }),
      (by, factor) => {
        const range = zoomed(moved({ fromSec: 3, untilSec: 5 }, by, whole), 1 / factor, 4, whole);
        expect(range.fromSec).toBeGreaterThanOrEqual(-0.4 - 1e-9);
        expect(range.untilSec).toBeLessThanOrEqual(10.4 + 1e-9);
        expect(range.untilSec).toBeGreaterThan(range.fromSec);
      },
    ),
    { seed: 2 },
  );
});

test("revealing moves only as far as it must", () => {
  const range = { fromSec: 2, untilSec: 4 };
  expect(revealed({ fromSec: 2.5, untilSec: 3 }, range, whole)).toBe(range);
  const next = revealed({ fromSec: 7, untilSec: 7.5 }, range, whole);
  expect(next.untilSec - next.fromSec).toBeCloseTo(2, 9);
  expect((next.fromSec + next.untilSec) / 2).toBeCloseTo(7.25, 9);
});

test("half way from one range to another has the geometric mean of their lengths and ends at both ends", () => {
  const a = fitted(whole);
  const b = { fromSec: 4, untilSec: 4.1 };
  const half = between(a, b, 0.5);
  expect(half.untilSec - half.fromSec).toBeCloseTo(Math.sqrt((a.untilSec - a.fromSec) * 0.1), 9);
  expect(between(a, b, 0).fromSec).toBeCloseTo(a.fromSec, 9);
  expect(between(a, b, 1).untilSec).toBeCloseTo(b.untilSec, 9);
  expect(clamped(half, whole)).toEqual(half);
});

test("ticks are round, inside the range, and labelled to the digit that changes", () => {
  const { timesSec, stepSec, label } = ticks({ fromSec: 0.0123, untilSec: 0.0187 }, 8);
  expect(stepSec).toBeCloseTo(1e-3, 12);
  expect(timesSec.map(label)).toEqual(["13 ms", "14 ms", "15 ms", "16 ms", "17 ms", "18 ms"]);
  expect(ticks({ fromSec: 0, untilSec: 6.6 }, 7).timesSec.map(ticks({ fromSec: 0, untilSec: 6.6 }, 7).label)).toEqual([
    "0 s",
    "1 s",
    "2 s",
    "3 s",
    "4 s",
    "5 s",
    "6 s",
  ]);
});
