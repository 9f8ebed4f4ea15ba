import { describe, expect, it } from "vitest";
import type { ParamSlice } from "./buffers.ts";
import type { Mesh } from "./mesh.ts";
import { dealMatrices, dealMoves, muonMatrices, newtonSchulzFlops, ownedElements } from "./muonMatrices.ts";

const mesh = (sizes: Partial<Mesh>): Mesh => ({
  ...{ tp: 1, cp: 1, ulysses: 1, dp: 1, pp: 1, ep: 1, etp: 1, shard: 1, order: ["tp", "cp", "dp", "pp"] },
  ...sizes,
});
const slice = (name: string, rows: readonly number[], columns: number, more: Partial<ParamSlice> = {}): ParamSlice => ({
  ...{ name, columns, axis: null, dim: 0, experts: null, init: "normal" },
  segments: rows.map((each) => ({ rows: each, parts: 1 })),
  ...more,
});

const layer = [
  slice("qkv", [64, 16, 16], 64),
  slice("out", [64], 64),
  slice("up", [172, 172], 64),
  slice("down", [64], 172),
  slice("experts", [24, 24], 64, { experts: 4 }),
];

describe("muonMatrices()", () => {
  it("cuts a rank's slice into one stretch for each projection and expert", () => {
    const [q, k, v] = muonMatrices(layer[0]!, mesh({}));
    expect(q).toEqual({ rows: 64, columns: 64, from: 0, length: 64 * 64 });
    expect([k!.from, v!.from]).toEqual([64 * 64, 80 * 64]);
    expect(muonMatrices(layer[4]!, mesh({ ep: 2, dp: 2 }))).toHaveLength(4);
  });

  it("keeps whole dims and the rank's share of the elements", () => {
    const split = slice("up", [8, 8], 4, { axis: "tp", segments: [8, 4].map((rows) => ({ rows, parts: 2 })) });
    expect(muonMatrices(split, mesh({ tp: 2 }))).toEqual([
      { rows: 8, columns: 4, from: 0, length: 16 },
      { rows: 4, columns: 4, from: 16, length: 8 },
    ]);
    const byColumns = slice("out", [6], 8, { axis: "tp", dim: 1 });
    expect(muonMatrices(byColumns, mesh({ tp: 4 }))).toEqual([{ rows: 6, columns: 8, from: 0, length: 12 }]);
  });
});

describe("dealMatrices()", () => {
  it.each([2, 3, 5, 8, 40])(
    "over %i ranks moves every element of every shard to one owner, and none twice",
    (shard) => {
      const at = mesh({ dp: shard, shard });
      const loads = new Float64Array(shard);
      const deal = dealMatrices(layer, at, "shard", loads);
      const moves = dealMoves(layer, at, deal);
      for (const [p, each] of layer.entries()) {
        const size = muonMatrices(each, at).reduce((sum, { length }) => sum + length, 0);
        const length = Math.ceil(size / shard);
        const seen = new Uint8Array(length * shard);
        for (const move of moves)
          if (move.parameter === p)
            for (let i = 0; i < move.length; i++) seen[move.shardRank * length + move.shardFrom + i]! += 1;
        expect(seen.every((times, i) => times === (i < size ? 1 : 0))).toBe(true);
      }
      for (const [owner, owned] of ownedElements(layer, at, deal).entries()) {
        const seen = new Uint8Array(owned);
        for (const move of moves)
          if (move.owner === owner) for (let i = 0; i < move.length; i++) seen[move.ownedFrom + i]! += 1;
        expect(seen.every((times) => times === 1)).toBe(true);
      }
    },
  );

  it("leaves no rank with more than its share and one matrix", () => {
    for (const shard of [2, 3, 8]) {
      const at = mesh({ dp: shard, shard });
      const loads = new Float64Array(shard);
      dealMatrices(layer, at, "shard", loads);
      const all = layer.flatMap((each) => muonMatrices(each, at)).map((each) => newtonSchulzFlops(each, 5));
      const total = all.reduce((sum, flops) => sum + flops, 0);
      expect(loads.reduce((sum, flops) => sum + flops, 0)).toBeCloseTo(total, 3);
      expect(Math.max(...loads)).toBeLessThanOrEqual(total / shard + Math.max(...all));
    }
  });
});
