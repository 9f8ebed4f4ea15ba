import fc from "fast-check";
import { expect, test } from "vitest";
import { compressBlocks } from "./repeats.ts";

/** Writes the kept list out again, each skipped period as often as it stands for. */
function expand(blocks: readonly number[]): number[] {
  const { kept, skipped } = compressBlocks(blocks);
  const out: number[] = [];
  kept.forEach((block, position) => {
    out.push(block);
    for (const { times, from, to } of skipped) {
      if (position !== to) continue;
      for (let t = 0; t < times; t++) out.push(...kept.slice(from + 1, to + 1));
    }
  });
  return out;
}

test("compressBlocks() stands for the whole list", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ pattern: fc.array(fc.nat(2), { minLength: 1, maxLength: 5 }), times: fc.nat(30) }), {
        maxLength: 4,
      }),
      (runs) => {
        const blocks = runs.flatMap(({ pattern, times }) => Array.from({ length: times }, () => pattern).flat());
        expect(expand(blocks)).toEqual(blocks);
      },
    ),
  );
});

test("compressBlocks() keeps six of equal blocks and four of a pattern", () => {
  expect(compressBlocks(Array<number>(100).fill(7)).kept.length).toBe(6);
  expect(compressBlocks(Array.from({ length: 60 }, (_, i) => (i % 6 === 5 ? 1 : 0))).kept.length).toBe(24);
  expect(compressBlocks([3, ...Array<number>(80).fill(1), 4]).kept).toEqual([3, 1, 1, 1, 1, 1, 1, 4]);
});
