import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { axisSize, groupOf, type Mesh, meshSize } from "./mesh.ts";
import type { AttentionGeometry, TokenLayout } from "./program.ts";
import { attends, attentionPairs, layoutRows, tokensOf, worstAttentionPairs } from "./tokens.ts";

function meshWith(sizes: { tp?: number; cp?: number; ulysses?: number; dp?: number }): Mesh {
  const { tp = 1, cp = 1, ulysses = 1, dp = 1 } = sizes;
  return { tp, cp, ulysses, dp, pp: 1, ep: 1, etp: 1, shard: 1, order: ["tp", "cp", "dp", "pp"] };
}

const layoutArbitrary = fc.record({
  tp: fc.constantFrom(1, 2),
  ring: fc.constantFrom(1, 2, 3),
  ulysses: fc.constantFrom(1, 2),
  batch: fc.constantFrom(1, 2, 3),
  cp: fc.constantFrom("contiguous", "zigzag") as fc.Arbitrary<"contiguous" | "zigzag">,
  ulyssesSplit: fc.boolean(),
  tpSplit: fc.boolean(),
});

describe("tokensOf()", () => {
  it("deals every token of the micro-batch exactly once over the ranks that split it", () => {
    fc.assert(
      fc.property(layoutArbitrary, ({ tp, ring, ulysses, batch, cp, ulyssesSplit, tpSplit }) => {
        const mesh = meshWith({ tp, cp: ring * ulysses, ulysses });
        const layout: TokenLayout = { batch, seqLen: 24, cp, ulyssesSplit, tpSplit };
        const seen = new Map<string, number>();
        for (let rank = 0; rank < meshSize(mesh); rank++) {
          const rows = tokensOf(layout, mesh, rank);
          expect(rows.position.length).toBe(layoutRows(layout, mesh));
          for (let i = 0; i < rows.position.length; i++) {
            const key = `${rows.sequence[i]}:${rows.position[i]}`;
            seen.set(key, (seen.get(key) ?? 0) + 1);
          }
        }
        expect(seen.size).toBe(batch * 24);
        const copies = (tpSplit ? 1 : tp) * (ulyssesSplit ? 1 : ulysses);
        expect(new Set(seen.values())).toEqual(new Set([copies]));
      }),
    );
  });

  it("gives zigzag rank c the pieces c and 2 cp - 1 - c", () => {
    const layout: TokenLayout = { batch: 1, seqLen: 8, cp: "zigzag", ulyssesSplit: true, tpSplit: false };
    const mesh = meshWith({ cp: 2 });
    expect([...tokensOf(layout, mesh, 0).position]).toEqual([0, 1, 6, 7]);
    expect([...tokensOf(layout, mesh, 1).position]).toEqual([2, 3, 4, 5]);
  });

  it("cuts a window of rows from the row list", () => {
    const layout: TokenLayout = { batch: 2, seqLen: 4, cp: "none", ulyssesSplit: false, tpSplit: false };
    const window = tokensOf({ ...layout, rowsFrom: 2, numRows: 3 }, meshWith({}), 0);
    expect([...window.sequence]).toEqual([0, 0, 1]);
    expect([...window.position]).toEqual([2, 3, 0]);
  });
});

describe("attentionPairs()", () => {
  it("equals counting pairs one by one, for every ring coordinate and step", () => {
    const arbitrary = fc.record({
      ring: fc.constantFrom(1, 2, 3),
      ulysses: fc.constantFrom(1, 2),
      cp: fc.constantFrom("none", "contiguous", "zigzag") as fc.Arbitrary<TokenLayout["cp"]>,
      causal: fc.boolean(),
      window: fc.nat(30),
      step: fc.nat(2),
      cross: fc.boolean(),
    });
    fc.assert(
      fc.property(arbitrary, ({ ring, ulysses, cp, causal, window, step, cross }) => {
        const mesh = meshWith({ cp: ring * ulysses, ulysses });
        const layout: TokenLayout = { batch: 1, seqLen: 24, cp, ulyssesSplit: false, tpSplit: false };
        const geometry: AttentionGeometry = {
          heads: 1,
          kvHeads: 1,
          headDim: 1,
          vHeadDim: 1,
          causal,
          window,
          layout,
          step: step % ring,
          ...(cross ? { kvLayout: { ...layout, seqLen: 12 } } : {}),
        };
        let worst = 0;
        for (let coordinate = 0; coordinate < ring; coordinate++) {
          const rank = groupOf(mesh, 0, "cpRing")[coordinate]!;
          const source = groupOf(mesh, 0, "cpRing")[(coordinate - geometry.step + ring) % ring]!;
          let count = 0;
          for (const query of tokensOf(layout, mesh, rank).position) {
            for (const key of tokensOf(geometry.kvLayout ?? layout, mesh, source).position) {
              if (attends(geometry, query, key)) count++;
            }
          }
          expect(attentionPairs(geometry, mesh, coordinate)).toBe(count);
          worst = Math.max(worst, count);
        }
        expect(worstAttentionPairs(geometry, mesh)).toBe(worst);
      }),
    );
  });

  it("balances causal work under zigzag at 128k tokens", () => {
    const mesh = meshWith({ cp: 16 });
    const layout: TokenLayout = { batch: 1, seqLen: 131072, cp: "zigzag", ulyssesSplit: true, tpSplit: false };
    const total = (step: number, coordinate: number) =>
      attentionPairs(
        { heads: 1, kvHeads: 1, headDim: 1, vHeadDim: 1, causal: true, window: 0, layout, step },
        mesh,
        coordinate,
      );
    const sums = Array.from({ length: axisSize(mesh, "cpRing") }, (_, coordinate) => {
      let sum = 0;
      for (let step = 0; step < 16; step++) sum += total(step, coordinate);
      return sum;
    });
    expect(new Set(sums).size).toBe(1);
    expect(sums.reduce((a, b) => a + b)).toBe((131072 * 131073) / 2);
  });
});
