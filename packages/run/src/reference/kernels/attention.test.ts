import {
  type AttentionGeometry,
  groupOf,
  type Mesh,
  type TokenLayout,
  type TokenRows,
  tokensOf,
} from "@meshwright/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type AttentionRows, attention, attentionBackward } from "./attention.ts";
import { batchMatmul, softmax, softmaxBackward } from "./batchAttention.ts";
import { gradientError, maxDifference, randomMat } from "./finiteDifference.fixture.ts";
import { at, type Mat, mat, matFrom } from "./mat.ts";

const layout: TokenLayout = { batch: 2, seqLen: 6, cp: "none", ulyssesSplit: false, tpSplit: false };
const base: AttentionGeometry = {
  heads: 4,
  kvHeads: 2,
  headDim: 3,
  vHeadDim: 2,
  causal: true,
  window: 0,
  layout,
  step: 0,
};
const meshOf = (cp: number): Mesh => ({
  tp: 1,
  cp,
  ulysses: 1,
  dp: 1,
  pp: 1,
  ep: 1,
  etp: 1,
  shard: 1,
  order: ["tp", "cp", "dp", "pp"],
});

function rowsFor(geometry: AttentionGeometry, mesh = meshOf(1), rank = 0): AttentionRows {
  const ring = groupOf(mesh, rank, "cpRing");
  const source = ring[(ring.indexOf(rank) - geometry.step + ring.length) % ring.length]!;
  return {
    geometry,
    queries: tokensOf(geometry.layout, mesh, rank),
    keys: tokensOf(geometry.kvLayout ?? geometry.layout, mesh, source),
  };
}

function inputs(rows: AttentionRows): { q: Mat; k: Mat; v: Mat } {
  const { heads, kvHeads, headDim, vHeadDim } = rows.geometry;
  return {
    q: randomMat("q", rows.queries.position.length, heads * headDim),
    k: randomMat("k", rows.keys.position.length, kvHeads * headDim),
    v: randomMat("v", rows.keys.position.length, kvHeads * vHeadDim),
  };
}

const geometries: [string, AttentionGeometry][] = [
  ["causal, grouped heads", base],
  ["full", { ...base, causal: false, kvHeads: 4 }],
  ["window of 3, one kv head", { ...base, window: 3, kvHeads: 1 }],
  ["cross attention", { ...base, causal: false, kvLayout: { ...layout, seqLen: 4 } }],
];

describe("attention", () => {
  it.each(geometries)("%s: backward equals finite differences", (_, geometry) => {
    const rows = rowsFor(geometry);
    const { q, k, v } = inputs(rows);
    const [out, lse] = [mat(q.rows, 8), mat(q.rows, 4)];
    const error = gradientError(
      [q, k, v],
      () => {
        const fresh = mat(q.rows, 8);
        attention(rows, q, k, v, fresh, lse, false);
        return fresh;
      },
      (dout) => {
        attention(rows, q, k, v, out, lse, false);
        const [dq, dk, dv] = [mat(q.rows, q.cols), mat(k.rows, k.cols), mat(v.rows, v.cols)];
        attentionBackward(rows, { q, k, v, out, lse, dout, dq, dk, dv, accumulateQ: false, accumulateKv: false });
        return [dq, dk, dv];
      },
    );
    expect(error).toBeLessThan(1e-6);
  });

  it.each(geometries)("%s: unfused products and softmax equal the fused kernel, backward too", (_, geometry) => {
    const rows = rowsFor(geometry);
    const { q, k, v } = inputs(rows);
    const [out, lse] = [mat(q.rows, 8), mat(q.rows, 4)];
    attention(rows, q, k, v, out, lse, false);
    const numKeys = k.rows / 2;
    const square = () => mat(q.rows * 4, numKeys);
    const [scores, probs, context] = [square(), square(), mat(q.rows, 8)];
    batchMatmul("scores", rows, q, k, scores);
    softmax(rows, scores, probs);
    batchMatmul("context", rows, probs, v, context);
    expect(maxDifference(context, out)).toBeLessThan(1e-13);

    const dout = randomMat("dout", q.rows, 8);
    const fused = [mat(q.rows, q.cols), mat(k.rows, k.cols), mat(v.rows, v.cols)] as const;
    attentionBackward(rows, {
      q,
      k,
      v,
      out,
      lse,
      dout,
      dq: fused[0],
      dk: fused[1],
      dv: fused[2],
      accumulateQ: false,
      accumulateKv: false,
    });
    const [dprobs, dscores] = [square(), square()];
    const unfused = [mat(q.rows, q.cols), mat(k.rows, k.cols), mat(v.rows, v.cols)] as const;
    batchMatmul("gradProbs", rows, dout, v, dprobs);
    batchMatmul("gradV", rows, probs, dout, unfused[2]);
    softmaxBackward(probs, dprobs, dscores);
    batchMatmul("gradQ", rows, dscores, k, unfused[0]);
    batchMatmul("gradK", rows, dscores, q, unfused[1]);
    for (const i of [0, 1, 2] as const) expect(maxDifference(unfused[i], fused[i])).toBeLessThan(1e-13);
  });

  it("ring steps merged over zigzag or contiguous pieces equal whole attention, forward and backward", () => {
    const arbitrary = fc.record({
      ring: fc.constantFrom(2, 3),
      cp: fc.constantFrom("contiguous", "zigzag") as fc.Arbitrary<"contiguous" | "zigzag">,
      causal: fc.boolean(),
      window: fc.constantFrom(0, 3, 7),
    });
    fc.assert(
      fc.property(arbitrary, ({ ring, cp, causal, window }) => {
        const whole: AttentionGeometry = { ...base, causal, window, layout: { ...layout, seqLen: 12 } };
        const split: AttentionGeometry = { ...whole, layout: { ...whole.layout, cp } };
        const rows = rowsFor(whole);
        const { q, k, v } = inputs(rows);
        const dout = randomMat("dout", q.rows, 8);
        const [out, lse] = [mat(q.rows, 8), mat(q.rows, 4)];
        attention(rows, q, k, v, out, lse, false);
        const grads = [mat(q.rows, q.cols), mat(k.rows, k.cols), mat(v.rows, v.cols)] as const;
        attentionBackward(rows, {
          q,
          k,
          v,
          out,
          lse,
          dout,
          dq: grads[0],
          dk: grads[1],
          dv: grads[2],
          accumulateQ: false,
          accumulateKv: false,
        });

        const mesh = meshOf(ring);
        const ranks = Array.from({ length: ring }, (_, rank) => rank);
        const pick = (m: Mat, tokens: TokenRows) =>
          matFrom(tokens.position.length, m.cols, (i, j) => at(m, tokens.sequence[i]! * 12 + tokens.position[i]!, j));
        const local = ranks.map((rank) => tokensOf(split.layout, mesh, rank));
        const [qs, ks, vs, douts] = [q, k, v, dout].map((m) => local.map((tokens) => pick(m, tokens))) as [
          Mat[],
          Mat[],
          Mat[],
          Mat[],
        ];
        const outs = ranks.map(() => mat(q.rows / ring, 8));
        const lses = ranks.map(() => mat(q.rows / ring, 4));
        const source = (rank: number, step: number) => (rank - step + ring) % ring;
        for (const rank of ranks) {
          for (let step = 0; step < ring; step++) {
            const from = source(rank, step);
            attention(
              rowsFor({ ...split, step }, mesh, rank),
              qs[rank]!,
              ks[from]!,
              vs[from]!,
              outs[rank]!,
              lses[rank]!,
              step > 0,
            );
          }
          expect(maxDifference(outs[rank]!, pick(out, local[rank]!))).toBeLessThan(1e-12);
        }
        const dqs = qs.map((m) => mat(m.rows, m.cols));
        const dks = ks.map((m) => mat(m.rows, m.cols));
        const dvs = vs.map((m) => mat(m.rows, m.cols));
        for (const rank of ranks) {
          for (let step = 0; step < ring; step++) {
            const from = source(rank, step);
            attentionBackward(rowsFor({ ...split, step }, mesh, rank), {
              q: qs[rank]!,
              k: ks[from]!,
              v: vs[from]!,
              out: outs[rank]!,
              lse: lses[rank]!,
              dout: douts[rank]!,
              dq: dqs[rank]!,
              dk: dks[from]!,
              dv: dvs[from]!,
              accumulateQ: true,
              accumulateKv: true,
            });
          }
        }
        for (const rank of ranks) {
          const parts = [dqs[rank]!, dks[rank]!, dvs[rank]!];
          for (const [i, part] of parts.entries())
            expect(maxDifference(part, pick(grads[i]!, local[rank]!))).toBeLessThan(1e-12);
        }
      }),
      { numRuns: 30 },
    );
  });
});
