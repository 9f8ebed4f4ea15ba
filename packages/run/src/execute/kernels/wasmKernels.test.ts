import { type AttentionGeometry, type Mesh, type TokenLayout, tokensOf } from "@meshwright/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AttentionRows } from "../../reference/kernels/attention.ts";
import { at, type Mat, mat, set } from "../../reference/kernels/mat.ts";
import { firstStep } from "../../reference/kernels/optimizer.ts";
import { plainKernels } from "../../reference/kernels/plain.ts";
import { rankMemory, sharedMemory } from "../memory/index.ts";
import { wasmKernels } from "./wasmKernels.ts";

// Two ranks share a memory, as in a run: the second is the one under test.
const regionBytes = 64 * 2 ** 20;
const { memory, regions } = sharedMemory([regionBytes, regionBytes]);
const arena = rankMemory(memory, regions[1]!.startBytes, regionBytes, 1);
const fast = wasmKernels(arena.arena);
wasmKernels(rankMemory(memory, regions[0]!.startBytes, regionBytes, 0).arena);

/** A window of random values in the arena, and the same values in f64; rows lie `pad` elements further apart than they are long. */
function pair(seed: number, rows: number, cols: number, pad = 0, scale = 1): { readonly f32: Mat; readonly f64: Mat } {
  const whole = arena.allocate(rows, cols + pad, 0);
  const f32 = { ...whole, cols, stride: cols + pad };
  const f64 = mat(rows, cols);
  let state = seed * 2654435761 + 12345;
  for (let i = 0; i < rows; i++)
    for (let j = 0; j < cols; j++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      set(f32, i, j, (state / 2 ** 31 - 1) * scale);
      set(f64, i, j, at(f32, i, j));
    }
  return { f32, f64 };
}

/** Largest difference, relative to the largest value. */
function error(f32: Mat, f64: Mat): number {
  let most = 0;
  let size = 1e-30;
  for (let i = 0; i < f64.rows; i++)
    for (let j = 0; j < f64.cols; j++) {
      const difference = Math.abs(at(f32, i, j) - at(f64, i, j));
      expect(Number.isNaN(difference) && !Object.is(at(f32, i, j), at(f64, i, j))).toBe(false);
      if (Number.isFinite(difference)) most = Math.max(most, difference);
      if (Number.isFinite(at(f64, i, j))) size = Math.max(size, Math.abs(at(f64, i, j)));
    }
  return most / size;
}

const size = fc.integer({ min: 1, max: 120 });

describe("fast kernels agree with the plain ones in f64", () => {
  test("products of all shapes, transposes and strides, added or written, with bias", () => {
    fc.assert(
      fc.property(
        size,
        size,
        fc.integer({ min: 1, max: 400 }),
        fc.record({ transA: fc.boolean(), transB: fc.boolean(), accumulate: fc.boolean() }),
        fc.integer({ min: 0, max: 5 }),
        fc.boolean(),
        (m, n, k, flags, pad, hasBias) => {
          const a = flags.transA ? pair(1, k, m, pad) : pair(1, m, k, pad);
          const b = flags.transB ? pair(2, n, k, pad) : pair(2, k, n, pad);
          const out = pair(3, m, n, pad);
          const bias = hasBias && !flags.accumulate ? pair(4, 1, n) : undefined;
          const all = { ...flags, biasScale: 0.5 };
          plainKernels.matmul(a.f64, b.f64, out.f64, all, bias?.f64);
          fast.matmul(a.f32, b.f32, out.f32, all, bias?.f32);
          expect(error(out.f32, out.f64)).toBeLessThan(1e-5);
          for (const { f32 } of [a, b, out, ...(bias === undefined ? [] : [bias])]) arena.release(f32);
        },
      ),
      { numRuns: 25 },
    );
  });

  test("products of expert groups, empty ones among them", () => {
    for (const role of ["forward", "inputGrad", "weightGrad"] as const) {
      const counts = [5, 0, 17, 3];
      const [n, k] = [24, 12];
      const x = pair(1, 25, role === "inputGrad" ? n : k);
      const w = role === "weightGrad" ? pair(2, 25, n) : pair(2, 4 * n, k);
      const out = role === "weightGrad" ? pair(3, 4 * n, k) : pair(3, 25, role === "forward" ? n : k);
      plainKernels.groupedMatmul(role, x.f64, w.f64, out.f64, counts, false);
      fast.groupedMatmul(role, x.f32, w.f32, out.f32, counts, false);
      expect(error(out.f32, out.f64)).toBeLessThan(1e-5);
    }
  });

  test("activations and their slopes, gated and not, far from zero and near it", () => {
    for (const fn of ["gelu", "silu", "quick_gelu", "relu", "tanh"] as const)
      for (const gated of [false, true])
        for (const scale of [0.01, 1, 20, 200]) {
          const cols = 12;
          const x = pair(5, 7, gated ? 2 * cols : cols, 3, scale);
          const y = pair(6, 7, cols, 1);
          const dx = pair(7, 7, gated ? 2 * cols : cols);
          plainKernels.activation(fn, gated, x.f64, y.f64);
          fast.activation(fn, gated, x.f32, y.f32);
          expect(error(y.f32, y.f64)).toBeLessThan(2e-6);
          const dy = pair(8, 7, cols);
          plainKernels.activationBackward(fn, gated, x.f64, dy.f64, dx.f64);
          fast.activationBackward(fn, gated, x.f32, dy.f32, dx.f32);
          expect(error(dx.f32, dx.f64)).toBeLessThan(5e-6);
        }
  });

  test("norms of rows and of heads, with one weight for all groups or one for each", () => {
    for (const name of ["rmsnorm", "layernorm"] as const)
      for (const [width, weights] of [
        [0, 48],
        [12, 12],
        [12, 48],
        [6, 6],
      ] as const) {
        const x = pair(9, 11, 48, 4);
        const weight = pair(10, 1, weights);
        const bias = name === "layernorm" ? pair(11, 1, weights) : undefined;
        const y = pair(12, 11, 48);
        plainKernels.norm(name, x.f64, weight.f64, bias?.f64, y.f64, width);
        fast.norm(name, x.f32, weight.f32, bias?.f32, y.f32, width);
        expect(error(y.f32, y.f64)).toBeLessThan(5e-6);
        const [dy, dx, dweight] = [pair(13, 11, 48), pair(14, 11, 48), pair(15, 1, weights)];
        const dbias = bias === undefined ? undefined : pair(16, 1, weights);
        const grads = { width };
        plainKernels.normBackward(name, {
          ...grads,
          x: x.f64,
          weight: weight.f64,
          dy: dy.f64,
          dx: dx.f64,
          dweight: dweight.f64,
          dbias: dbias?.f64,
        });
        fast.normBackward(name, {
          ...grads,
          x: x.f32,
          weight: weight.f32,
          dy: dy.f32,
          dx: dx.f32,
          dweight: dweight.f32,
          dbias: dbias?.f32,
        });
        for (const each of [dx, dweight, ...(dbias === undefined ? [] : [dbias])])
          expect(error(each.f32, each.f64)).toBeLessThan(1e-5);
      }
  });

  test("statistics, loss gradient, sums and products, column sums, copies", () => {
    const logits = pair(20, 9, 101, 2, 6);
    const [rowMax, sums, dlogits] = [pair(21, 9, 1), pair(22, 9, 2), pair(23, 9, 101)];
    const targets = Int32Array.from({ length: 9 }, (_, i) => 40 + 13 * i);
    for (const [k, of] of [
      [plainKernels, "f64"],
      [fast, "f32"],
    ] as const) {
      k.logitsMax(logits[of], rowMax[of]);
      k.logitsSum(logits[of], rowMax[of], sums[of], targets, 30);
      k.lossBackward(
        { logits: logits[of], rowMax: rowMax[of], sums: sums[of], dlogits: dlogits[of] },
        targets,
        30,
        0.25,
      );
    }
    for (const each of [rowMax, sums, dlogits]) expect(error(each.f32, each.f64)).toBeLessThan(3e-6);
    const [a, b, out, column] = [pair(24, 6, 13, 1), pair(25, 6, 13), pair(26, 6, 13, 2), pair(27, 1, 13)];
    for (const run of [
      (k: typeof fast, of: "f32" | "f64") => k.addTo(a[of], b[of], out[of]),
      (k: typeof fast, of: "f32" | "f64") => k.multiply(a[of], b[of], out[of]),
      (k: typeof fast, of: "f32" | "f64") => k.copyInto(a[of], out[of]),
      (k: typeof fast, of: "f32" | "f64") => k.biasGrad(a[of], column[of], true),
      (k: typeof fast, of: "f32" | "f64") => k.clear(out[of]),
    ]) {
      run(plainKernels, "f64");
      run(fast, "f32");
      for (const each of [out, column]) expect(error(each.f32, each.f64)).toBeLessThan(1e-6);
    }
  });

  test("rotation and its inverse, whole heads and parts of them", () => {
    for (const shape of [
      { headDim: 8, from: 0, ropeDim: 8, inverse: false },
      { headDim: 12, from: 4, ropeDim: 8, inverse: true },
    ]) {
      const [x, out] = [pair(30, 10, 24), pair(31, 10, 24)];
      const position = Int32Array.from({ length: 10 }, (_, i) => i * 37);
      plainKernels.rope(x.f64, out.f64, position, shape);
      fast.rope(x.f32, out.f32, position, shape);
      expect(error(out.f32, out.f64)).toBeLessThan(1e-6);
    }
  });

  test("AdamW over several steps", () => {
    const [grad, master, m, v] = [pair(40, 3, 21), pair(41, 3, 21), pair(42, 3, 21, 0, 0), pair(43, 3, 21, 0, 0)];
    for (let step = 1; step <= 5; step++) {
      const settings = { ...firstStep, step, gradScale: 0.5 };
      plainKernels.optimizerStep("adamw", grad.f64, master.f64, [m.f64, v.f64], settings);
      fast.optimizerStep("adamw", grad.f32, master.f32, [m.f32, v.f32], settings);
    }
    for (const each of [master, m, v]) expect(error(each.f32, each.f64)).toBeLessThan(2e-6);
  });
});

const mesh: Mesh = {
  tp: 1,
  cp: 1,
  ulysses: 1,
  dp: 1,
  pp: 1,
  ep: 1,
  etp: 1,
  shard: 1,
  order: ["tp", "cp", "dp", "pp"],
};

describe("fused attention agrees with the plain one", () => {
  const geometry = fc.record({
    seqLen: fc.integer({ min: 1, max: 100 }),
    batch: fc.integer({ min: 1, max: 2 }),
    kvHeads: fc.constantFrom(1, 2),
    group: fc.constantFrom(1, 3),
    headDim: fc.constantFrom(4, 6, 16),
    vHeadDim: fc.constantFrom(4, 10),
    causal: fc.boolean(),
    window: fc.constantFrom(0, 5, 70),
  });

  test("forward, joined with earlier keys, and backward", () => {
    fc.assert(
      fc.property(geometry, fc.boolean(), (shape, accumulate) => {
        const layout: TokenLayout = {
          batch: shape.batch,
          seqLen: shape.seqLen,
          cp: "none",
          ulyssesSplit: false,
          tpSplit: false,
        };
        const heads = shape.kvHeads * shape.group;
        const full: AttentionGeometry = { ...shape, heads, layout, step: 0 };
        const tokens = tokensOf(layout, mesh, 0);
        const rows: AttentionRows = { geometry: full, queries: tokens, keys: tokens };
        const n = shape.batch * shape.seqLen;
        const q = pair(50, n, heads * shape.headDim, 2);
        const k = pair(51, n, shape.kvHeads * shape.headDim);
        const v = pair(52, n, shape.kvHeads * shape.vHeadDim);
        const [out, lse] = [pair(53, n, heads * shape.vHeadDim), pair(54, n, heads)];
        const earlier = { ...rows, geometry: { ...full, causal: false, window: 3 } };
        for (const [kernels, of] of [
          [plainKernels, "f64"],
          [fast, "f32"],
        ] as const) {
          kernels.attention(rows, q[of], k[of], v[of], out[of], lse[of], false);
          if (accumulate)
            kernels.attention(earlier, q[of], v[of].cols === k[of].cols ? v[of] : k[of], v[of], out[of], lse[of], true);
        }
        expect(error(out.f32, out.f64)).toBeLessThan(2e-5);
        expect(error(lse.f32, lse.f64)).toBeLessThan(1e-5);
        const dout = pair(55, n, heads * shape.vHeadDim);
        const [dq, dk, dv] = [
          pair(56, n, heads * shape.headDim),
          pair(57, n, shape.kvHeads * shape.headDim),
          pair(58, n, shape.kvHeads * shape.vHeadDim),
        ];
        for (const [kernels, of] of [
          [plainKernels, "f64"],
          [fast, "f32"],
        ] as const)
          kernels.attentionBackward(rows, {
            q: q[of],
            k: k[of],
            v: v[of],
            out: out[of],
            lse: lse[of],
            dout: dout[of],
            dq: dq[of],
            dk: dk[of],
            dv: dv[of],
            accumulateQ: accumulate,
            accumulateKv: accumulate,
          });
        for (const each of [dq, dk, dv]) expect(error(each.f32, each.f64)).toBeLessThan(5e-5);
        for (const each of [q, k, v, out, lse, dout, dq, dk, dv]) arena.release(each.f32);
      }),
      { numRuns: 15 },
    );
  });
});
