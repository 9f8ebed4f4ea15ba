import fc from "fast-check";
import { expect, it } from "vitest";
import { loopPlacement } from "./placement.ts";
import { push, rankActions } from "./rankActions.ts";
import { orderGraph, weightFill } from "./weightFill.ts";

function orders(numRanks: number, numMicroBatches: number) {
  return Array.from({ length: numRanks }, (_, rank) => {
    const list = rankActions(2 * numMicroBatches);
    const ahead = Math.min(numRanks - rank, numMicroBatches);
    for (let i = 0; i < ahead; i++) push(list, "F", 0, i);
    for (let i = 0; i < numMicroBatches; i++) {
      push(list, "B", 0, i);
      if (i + ahead < numMicroBatches) push(list, "F", 0, i + ahead);
    }
    return list;
  });
}

const cost = fc.double({ min: 0.1, max: 3, noNaN: true });

it("keeps the order of F and B, runs every W after its B, and holds the stash limit", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 12 }),
      fc.record({ F: cost, B: cost, W: cost, send: fc.double({ min: 0, max: 2, noNaN: true }) }),
      fc.integer({ min: 0, max: 4 }),
      fc.constantFrom("eager" as const, "patient" as const),
      (numRanks, numMicroBatches, costs, spare, policy) => {
        const given = orders(numRanks, numMicroBatches);
        const stashLimit = numRanks + spare;
        const placement = loopPlacement(numRanks, 1);
        const { lists } = weightFill({
          order: orderGraph(placement, numMicroBatches, given),
          costs,
          stashLimit,
          policy,
        });
        for (const [rank, list] of lists.entries()) {
          expect([...list.codes.filter((code) => (code & 3) !== 2)]).toEqual([...given[rank]!.codes]);
          const done = new Set<number>();
          let held = 0;
          for (const code of list.codes) {
            if ((code & 3) === 2) expect(done.has(code - 1)).toBe(true);
            done.add(code);
            held += (code & 3) === 0 ? 1 : (code & 3) === 2 ? -1 : 0;
            expect(held).toBeLessThanOrEqual(stashLimit);
          }
          expect(held).toBe(0);
        }
      },
    ),
    { seed: 20250101 },
  );
});

it('"patient" never starts a W that would hold up the next action, "eager" does', () => {
  // Rank 0 has a gap of 1 before B1; W takes 5.
  const input = {
    order: orderGraph(loopPlacement(2, 1), 2, orders(2, 2)),
    costs: { F: 1, B: 1, W: 5, send: 0 },
    stashLimit: 2,
  };
  const names = (policy: "eager" | "patient") =>
    [...weightFill({ ...input, policy }).lists[0]!.codes].map((code) => "FBW"[code & 3]! + (code >> 10)).join(" ");
  expect(names("patient")).toBe("F0 F1 B0 B1 W0 W1");
  expect(names("eager")).toBe("F0 F1 B0 W0 B1 W1");
});
