import fc from "fast-check";
import { expect, test } from "vitest";
import { dealByCost, dealShares } from "./dealByCost.ts";

/** All ways of dealing n items to k stages, at least one each. */
function deals(n: number, k: number): number[][] {
  if (k === 1) return n >= 1 ? [[n]] : [];
  return Array.from({ length: Math.max(0, n - k + 1) }, (_, i) => i + 1).flatMap((first) =>
    deals(n - first, k - 1).map((rest) => [first, ...rest]),
  );
}

test("dealByCost() has the least dearest stage, and then the least sum of squares, of all deals", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 0, max: 6 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 14, maxLength: 14 }),
      fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 }),
      (numStages, extra, costs, slowness) => {
        const numLayers = numStages + extra;
        const costSec = (stage: number, layer: number) => slowness[stage]! * costs[layer]!;
        const endSec = (stage: number) => (stage === numStages - 1 ? costs[13]! : 0);
        const cap = (stage: number) => (stage === 0 ? 3 : numLayers);
        const loads = (counts: readonly number[]) => {
          let at = 0;
          return counts.map((count, stage) => {
            let sec = endSec(stage);
            for (let i = 0; i < count; i++) sec += costSec(stage, at++);
            return sec;
          });
        };
        const judged = deals(numLayers, numStages)
          .filter((counts) => counts[0]! <= 3)
          .map((counts) => ({
            worst: Math.max(...loads(counts)),
            squares: loads(counts).reduce((s, x) => s + x * x, 0),
          }));
        const found = dealByCost({ numStages, numLayers, costSec, endSec, cap });
        if (judged.length === 0) {
          expect(found).toBeNull();
          return;
        }
        const worst = Math.min(...judged.map((each) => each.worst));
        const squares = Math.min(...judged.filter((each) => each.worst === worst).map((each) => each.squares));
        expect(found!.reduce((a, b) => a + b, 0)).toBe(numLayers);
        expect(Math.max(...loads(found!))).toBe(worst);
        expect(loads(found!).reduce((s, x) => s + x * x, 0)).toBe(squares);
      },
    ),
    { numRuns: 200 },
  );
});

test("dealByCost() deals evenly where stages are alike", () => {
  const even = { costSec: () => 1, endSec: () => 0, cap: () => 99 };
  expect(dealByCost({ ...even, numStages: 4, numLayers: 32 })).toEqual([8, 8, 8, 8]);
  expect([...dealByCost({ ...even, numStages: 3, numLayers: 8 })!].sort()).toEqual([2, 3, 3]);
});

test("dealShares() has the least time of the slowest replica of all deals", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 0, max: 7 }),
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 1, max: 2 }),
      fc.integer({ min: 1, max: 2 }),
      (microSec, extra, fill, unit, leastUnits) => {
        const units = microSec.length * leastUnits + extra;
        const time = (shares: readonly number[]) =>
          Math.max(...shares.map((share, i) => (share + fill) * microSec[i]!));
        const best = Math.min(
          ...deals(units, microSec.length)
            .filter((counts) => counts.every((count) => count >= leastUnits))
            .map((counts) => time(counts.map((count) => count * unit))),
        );
        const found = dealShares({ microSec, total: units * unit, fill, unit, least: leastUnits * unit });
        expect(found.reduce((a, b) => a + b, 0)).toBe(units * unit);
        expect(found.every((share) => share >= leastUnits * unit && share % unit === 0)).toBe(true);
        expect(time(found)).toBe(best);
      },
    ),
    { numRuns: 200 },
  );
});
