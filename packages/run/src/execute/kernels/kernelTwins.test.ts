// Every fast kernel against the plain one in f64, on random shapes, strides and options. Bounds are shares of the largest element of a result.

import type { AttentionGeometry } from "@meshwright/core";
import { describe, test } from "vitest";
import type { AttentionRows } from "../../reference/kernels/attention.ts";
import type { ActivationName } from "../../reference/kernels/elementwise.ts";
import type { OptimizerName } from "../../reference/kernels/optimizer.ts";
import { forSeeds, type Twin, Twins } from "./twins.fixture.ts";

describe("products", () => {
  test("matmul of any transposition, with bias and accumulation, within 2e-6", () => {
    forSeeds(60, (twins, seed) => {
      const { dice } = twins;
      const size = () => dice.pick(1, 2, 3, 4, 5, 8, 9, 31, 64, 67, 130);
      const [m, n] = [size(), size()];
      const k = dice.pick(1, 2, 7, 8, 64, 255, 256, 257, 520);
      const flags = {
        transA: dice.pick(true, false),
        transB: dice.pick(true, false),
        accumulate: dice.pick(true, false),
        biasScale: dice.pick(1, 0.25),
      };
      const a = flags.transA ? twins.mat(k, m) : twins.mat(m, k);
      const b = flags.transB ? twins.mat(n, k) : twins.mat(k, n);
      const out = twins.mat(m, n);
      const bias = dice.pick(true, false) ? twins.mat(1, n) : undefined;
      twins.compare(
        (kernels, side) => kernels.matmul(side(a), side(b), side(out), flags, bias && side(bias)),
        2e-6,
        `seed ${seed}: ${m} x ${n} x ${k} ${JSON.stringify(flags)}`,
      );
    });
  });

  test("matmul with more columns and rows than a block", () => {
    const twins = new Twins(5);
    const [a, b, out] = [twins.mat(130, 270), twins.mat(270, 525), twins.mat(130, 525)];
    const flags = { transA: false, transB: false, accumulate: true };
    twins.compare((kernels, side) => kernels.matmul(side(a), side(b), side(out), flags), 2e-6, "large");
  });

  test("matmul of no rows or of empty sums leaves what the plain one leaves", () => {
    for (const [m, n, k] of [
      [0, 4, 4],
      [4, 4, 0],
    ] as const) {
      const twins = new Twins(1);
      const [a, b, out] = [twins.mat(m, k), twins.mat(k, n), twins.mat(m, n)];
      const flags = { transA: false, transB: false, accumulate: false };
      twins.compare((kernels, side) => kernels.matmul(side(a), side(b), side(out), flags), 1e-6, `${m} ${n} ${k}`);
    }
  });

  test("groupedMatmul in all roles, with experts that get no rows", () => {
    forSeeds(20, (twins, seed) => {
      const { dice } = twins;
      const counts = Array.from({ length: dice.whole(1, 4) }, () => dice.pick(0, 1, 3, 17));
      const rows = counts.reduce<number>((sum, count) => sum + count, 0);
      const [n, k] = [dice.whole(1, 20), dice.whole(1, 20)];
      const role = dice.pick("forward", "inputGrad", "weightGrad");
      const accumulate = dice.pick(true, false);
      const weights = [counts.length * n, k] as const;
      const [a, b, out] =
        role === "forward"
          ? [twins.mat(rows, k), twins.mat(...weights), twins.mat(rows, n)]
          : role === "inputGrad"
            ? [twins.mat(rows, n), twins.mat(...weights), twins.mat(rows, k)]
            : [twins.mat(rows, k), twins.mat(rows, n), twins.mat(...weights)];
      twins.compare(
        (kernels, side) => kernels.groupedMatmul(role, side(a), side(b), side(out), counts, accumulate),
        2e-6,
        `seed ${seed}: ${role} ${counts.join(" ")}`,
      );
    });
  });

  test("biasGrad within 1e-6", () => {
    forSeeds(20, (twins, seed) => {
      const [rows, cols] = [twins.dice.whole(1, 70), twins.dice.whole(1, 70)];
      const [x, out] = [twins.mat(rows, cols), twins.mat(1, cols)];
      const accumulate = seed % 2 === 0;
      twins.compare((kernels, side) => kernels.biasGrad(side(x), side(out), accumulate), 1e-6, `seed ${seed}`);
    });
  });
});

/** Some tokens of some sequences, in any order of pieces. */
function attentionCase(twins: Twins, window: boolean): AttentionRows {
  const { dice } = twins;
  const kvHeads = dice.pick(1, 2);
  const batch = dice.pick(1, 2);
  const length = dice.pick(1, 5, 40, 70, 100);
  const list = (first: number, count: number) => ({
    position: Int32Array.from({ length: batch * count }, (_, i) => first + (i % count)),
    sequence: Int32Array.from({ length: batch * count }, (_, i) => Math.floor(i / count)),
  });
  const geometry = {
    heads: kvHeads * dice.pick(1, 3),
    kvHeads,
    headDim: dice.pick(1, 8, 13, 32),
    vHeadDim: dice.pick(4, 8, 13),
    causal: dice.pick(true, false),
    window: window ? dice.pick(1, 7, 60) : 0,
    layout: { batch, seqLen: length },
    step: 0,
  } as unknown as AttentionGeometry;
  // Keys from before, around and after the queries: rows without any visible key occur.
  return { geometry, queries: list(dice.pick(0, 30), length), keys: list(dice.pick(0, 20, 60), dice.pick(length, 33)) };
}

describe("attention", () => {
  test("forward and merged with an earlier part, within 5e-6; backward within 2e-5", () => {
    forSeeds(24, (twins, seed) => {
      const rows = attentionCase(twins, seed % 3 === 0);
      const { heads, kvHeads, headDim, vHeadDim } = rows.geometry;
      const [nq, nk] = [rows.queries.position.length, rows.keys.position.length];
      const wide = () => 3 * twins.dice.value();
      const [q, k, v] = [
        twins.mat(nq, heads * headDim, wide),
        twins.mat(nk, kvHeads * headDim, wide),
        twins.mat(nk, kvHeads * vHeadDim),
      ];
      const [out, lse] = [twins.mat(nq, heads * vHeadDim), twins.mat(nq, heads)];
      const what = `seed ${seed} ${JSON.stringify(rows.geometry)}`;
      if (seed % 2 === 0) {
        twins.compare(
          (kernels, side) => kernels.attention(rows, side(q), side(k), side(v), side(out), side(lse), seed % 4 === 0),
          5e-6,
          what,
        );
        return;
      }
      const [dout, dq, dk, dv] = [
        twins.mat(nq, heads * vHeadDim),
        twins.mat(nq, heads * headDim),
        twins.mat(nk, kvHeads * headDim),
        twins.mat(nk, kvHeads * vHeadDim),
      ];
      twins.compare(
        (kernels, side) => {
          kernels.attention(rows, side(q), side(k), side(v), side(out), side(lse), false);
          kernels.attentionBackward(rows, {
            ...{ q: side(q), k: side(k), v: side(v), out: side(out), lse: side(lse), dout: side(dout) },
            ...{ dq: side(dq), dk: side(dk), dv: side(dv), accumulateQ: seed % 3 === 0, accumulateKv: seed % 5 === 0 },
          });
        },
        2e-5,
        what,
      );
    });
  });

  test("merging into rows that saw no key yet starts them", () => {
    const twins = new Twins(3);
    const list = (first: number) => ({ position: Int32Array.of(first, first + 1), sequence: Int32Array.of(0, 0) });
    const geometry = {
      heads: 1,
      kvHeads: 1,
      headDim: 4,
      vHeadDim: 4,
      causal: true,
      window: 0,
      layout: { batch: 1, seqLen: 4 },
      step: 0,
    } as unknown as AttentionGeometry;
    const [q, k, v, out] = [twins.mat(2, 4), twins.mat(2, 4), twins.mat(2, 4), twins.mat(2, 4)];
    const lse = twins.mat(2, 1, () => Number.NEGATIVE_INFINITY);
    twins.compare(
      (kernels, side) => {
        // Later keys first: nothing is visible; then earlier ones.
        for (const first of [2, 0])
          kernels.attention(
            { geometry, queries: list(0), keys: list(first) },
            side(q),
            side(k),
            side(v),
            side(out),
            side(lse),
            true,
          );
      },
      5e-6,
      "merge",
    );
  });

  test("unfused: all batched products within 2e-6, masked softmax and its backward within 2e-6", () => {
    forSeeds(12, (twins, seed) => {
      const rows = attentionCase(twins, seed % 4 === 0);
      const { heads, kvHeads, headDim: d, vHeadDim: dv, layout } = rows.geometry;
      const [nq, nk] = [rows.queries.position.length, rows.keys.position.length];
      const square = () => twins.mat(nq * heads, nk / layout.batch);
      const which = (["scores", "context", "gradProbs", "gradV", "gradQ", "gradK"] as const)[seed % 6]!;
      const shapes = {
        scores: () => [twins.mat(nq, heads * d), twins.mat(nk, kvHeads * d), square()],
        gradProbs: () => [twins.mat(nq, heads * dv), twins.mat(nk, kvHeads * dv), square()],
        context: () => [square(), twins.mat(nk, kvHeads * dv), twins.mat(nq, heads * dv)],
        gradV: () => [square(), twins.mat(nq, heads * dv), twins.mat(nk, kvHeads * dv)],
        gradQ: () => [square(), twins.mat(nk, kvHeads * d), twins.mat(nq, heads * d)],
        gradK: () => [square(), twins.mat(nq, heads * d), twins.mat(nk, kvHeads * d)],
      };
      const [a, b, out] = shapes[which]() as [Twin, Twin, Twin];
      twins.compare(
        (kernels, side) => kernels.batchMatmul(which, rows, side(a), side(b), side(out)),
        2e-6,
        `seed ${seed} ${which}`,
      );
      const [x, y, dy, dx] = [square(), square(), square(), square()];
      twins.compare(
        (kernels, side) => {
          kernels.softmax(rows, side(x), side(y));
          kernels.softmaxBackward(side(y), side(dy), side(dx));
        },
        2e-6,
        `seed ${seed} softmax`,
      );
    });
  });
});

const activations: readonly ActivationName[] = ["gelu", "silu", "relu", "relu2", "quick_gelu", "tanh"];

describe("elementwise", () => {
  test("activations and their gradients, gated and weighted by row, within 3e-6", () => {
    forSeeds(72, (twins, seed) => {
      const fn = activations[seed % 6]!;
      const [gated, weighted] = [twins.dice.pick(true, false), twins.dice.pick(true, false)];
      const [rows, cols] = [twins.dice.whole(1, 6), twins.dice.whole(1, 19)];
      const far = () => 12 * twins.dice.value();
      const [x, dx] = [twins.mat(rows, gated ? 2 * cols : cols, far), twins.mat(rows, gated ? 2 * cols : cols)];
      const [y, dy] = [twins.mat(rows, cols), twins.mat(rows, cols)];
      const [scale, dscale] = weighted ? [twins.mat(rows, 1), twins.mat(rows, 1)] : [undefined, undefined];
      twins.compare(
        (kernels, side) => {
          kernels.activation(fn, gated, side(x), side(y), scale && side(scale));
          kernels.activationBackward(
            fn,
            gated,
            side(x),
            side(dy),
            side(dx),
            scale && { scale: side(scale), dscale: side(dscale!) },
          );
        },
        3e-6,
        `seed ${seed} ${fn} gated ${gated} weighted ${weighted}`,
      );
    });
  });

  test("sums, products, copies, zeros and gates", () => {
    forSeeds(24, (twins, seed) => {
      const [rows, cols] = [twins.dice.whole(1, 6), twins.dice.whole(1, 30)];
      const [a, b, sum, product, copy, none, gated] = Array.from({ length: 7 }, () =>
        twins.mat(rows, cols),
      ) as unknown as [Twin, Twin, Twin, Twin, Twin, Twin, Twin];
      const gate = twins.mat(rows, twins.dice.pick(1, cols));
      twins.compare(
        (kernels, side) => {
          kernels.addTo(side(a), side(b), side(sum));
          kernels.multiply(side(a), side(b), side(product));
          kernels.copyInto(side(a), side(copy));
          kernels.clear(side(none));
          kernels.sigmoidGate(side(gate), side(a), side(gated));
          kernels.dropoutBackward(side(a), side(b), side(b), 0.25);
        },
        3e-7,
        `seed ${seed}`,
      );
    });
  });

  test("rope both ways, heads put together and taken apart", () => {
    forSeeds(30, (twins, seed) => {
      const { dice } = twins;
      const heads = dice.whole(1, 3);
      const ropeDim = dice.pick(2, 6, 8, 14);
      const from = dice.pick(0, 3);
      const headDim = from + ropeDim + dice.pick(0, 2);
      const rows = dice.whole(1, 9);
      const position = Int32Array.from({ length: rows }, () => dice.whole(0, 5000));
      const [x, out] = [twins.mat(rows, heads * headDim), twins.mat(rows, heads * headDim)];
      const shape = { headDim, from, ropeDim, inverse: dice.pick(true, false) };
      twins.compare(
        (kernels, side) => kernels.rope(side(x), side(out), position, shape),
        3e-7,
        `seed ${seed} ${JSON.stringify(shape)}`,
      );
      const parts = { heads, aDim: dice.whole(1, 5), bDim: dice.whole(1, 5), sharedB: dice.pick(true, false) };
      const widthB = (parts.sharedB ? 1 : heads) * parts.bDim;
      const [a, b, joined] = [
        twins.mat(rows, heads * parts.aDim),
        twins.mat(rows, widthB),
        twins.mat(rows, heads * (parts.aDim + parts.bDim)),
      ];
      const [a2, b2] = [twins.mat(rows, heads * parts.aDim), twins.mat(rows, widthB)];
      twins.compare(
        (kernels, side) => {
          kernels.headConcat(side(a), side(b), side(joined), parts);
          kernels.headSplit(side(joined), side(a2), side(b2), parts);
        },
        3e-7,
        `seed ${seed} ${JSON.stringify(parts)}`,
      );
    });
  });
});

describe("norms, embedding and loss", () => {
  test("norms and their gradients, by groups and by rows, within 4e-6", () => {
    forSeeds(40, (twins, seed) => {
      const { dice } = twins;
      const n = dice.pick(1, 3, 4, 17, 64);
      const groups = dice.whole(1, 3);
      const cols = n * groups;
      const name = dice.pick("rmsnorm", "layernorm");
      const rows = dice.whole(1, 9);
      const shift = dice.pick(0, 2);
      const weightCols = dice.pick(n, cols);
      const [x, weight] = [twins.mat(rows, cols, () => shift + dice.value()), twins.mat(1, weightCols)];
      const bias = dice.pick(true, false) ? twins.mat(1, weightCols) : undefined;
      const [y, dy, dx, dweight] = [
        twins.mat(rows, cols),
        twins.mat(rows, cols),
        twins.mat(rows, cols),
        twins.mat(1, weightCols),
      ];
      const dbias = bias && twins.mat(1, weightCols);
      // A group of one element has a deviation of the epsilon alone, which magnifies every rounding.
      if (name === "layernorm" && n === 1) return twins.compare(() => {}, 0, "");
      twins.compare(
        (kernels, side) => {
          kernels.norm(name, side(x), side(weight), bias && side(bias), side(y), n);
          kernels.normBackward(name, {
            ...{ x: side(x), weight: side(weight), dy: side(dy), dx: side(dx), dweight: side(dweight) },
            ...{ dbias: dbias && side(dbias), width: n },
          });
        },
        4e-6,
        `seed ${seed} ${name} ${rows} x ${cols} by ${n}`,
      );
    });
  });

  test("embedding rows with ids outside the shard and with positions", () => {
    forSeeds(20, (twins, seed) => {
      const { dice } = twins;
      const [rows, cols, vocab] = [dice.whole(1, 12), dice.whole(1, 20), dice.whole(1, 9)];
      const ids = Array.from({ length: rows }, () => dice.whole(0, 20));
      const position = Int32Array.from({ length: rows }, () => dice.whole(0, 6));
      const [table, dtable, out, dout] = [
        twins.mat(vocab, cols),
        twins.mat(vocab, cols),
        twins.mat(rows, cols),
        twins.mat(rows, cols),
      ];
      const positions = dice.pick(true, false) ? { table: twins.mat(7, cols), dtable: twins.mat(7, cols) } : undefined;
      twins.compare(
        (kernels, side) => {
          kernels.embedding(
            side(table),
            side(out),
            ids,
            4,
            positions && { table: side(positions.table), position, scale: 0.5 },
          );
          kernels.embeddingBackward(
            side(dout),
            side(dtable),
            ids,
            4,
            positions && { dtable: side(positions.dtable), position },
          );
        },
        1e-6,
        `seed ${seed}`,
      );
    });
  });

  test("statistics of the vocabulary and the loss's gradient within 1e-6", () => {
    forSeeds(24, (twins, seed) => {
      const { dice } = twins;
      const [rows, cols] = [dice.whole(1, 9), dice.pick(1, 3, 4, 31, 200)];
      const targets = Array.from({ length: rows }, () => dice.whole(0, cols + 3));
      const [logits, rowMax, sums, dlogits] = [
        twins.mat(rows, cols, () => 20 * dice.value()),
        twins.mat(rows, 1),
        twins.mat(rows, 2),
        twins.mat(rows, cols),
      ];
      twins.compare(
        (kernels, side) => {
          kernels.logitsMax(side(logits), side(rowMax));
          kernels.logitsSum(side(logits), side(rowMax), side(sums), targets, 2);
          kernels.lossBackward(
            { logits: side(logits), rowMax: side(rowMax), sums: side(sums), dlogits: side(dlogits) },
            targets,
            2,
            0.37,
          );
        },
        1e-6,
        `seed ${seed} ${rows} x ${cols}`,
      );
    });
  });
});

describe("routed rows", () => {
  test("permuted, combined, biased and regrouped, with dropped and padded copies", () => {
    forSeeds(24, (twins, seed) => {
      const { dice } = twins;
      const [tokens, topk, cols] = [dice.whole(1, 9), dice.whole(1, 3), dice.whole(1, 21)];
      const copies = Int32Array.from({ length: tokens * topk }, (_, i) => (dice.whole(0, 5) === 0 ? -1 : i));
      copies.sort((a, b) => ((a * 7) % 11) - ((b * 7) % 11));
      const routing = { copies, counts: [] };
      const n = copies.length;
      const token = () => twins.mat(tokens, cols);
      const routed = () => twins.mat(n, cols);
      const [x, y, sum, dout, dx, back] = [token(), routed(), token(), token(), routed(), token()];
      const [gates, dgates] = [twins.mat(tokens, topk), twins.mat(tokens, topk)];
      const perExpert = [Math.floor(n / 2), 0, n - Math.floor(n / 2)];
      const [bias, dbias, biased] = [twins.mat(3, cols), twins.mat(3, cols), routed()];
      const [rowScale, drowScale] = [twins.mat(n, 1), twins.mat(n, 1)];
      const order = Int32Array.from({ length: n }, (_, i) => (i * 5 + 2) % n);
      const isOrder = new Set(order).size === n;
      const regrouped = routed();
      const weighted = dice.pick(true, false);
      twins.compare(
        (kernels, side) => {
          kernels.permute(routing, topk, side(x), side(y));
          kernels.combine(routing, topk, side(y), side(gates), side(sum));
          kernels.combineBackward(routing, topk, {
            dout: side(dout),
            x: side(y),
            gates: side(gates),
            dx: side(dx),
            dgates: side(dgates),
          });
          kernels.permuteBackward(routing, topk, side(dx), side(back));
          kernels.expertBias(
            perExpert,
            { x: side(y), bias: side(bias), out: side(biased), rowScale: weighted ? side(rowScale) : undefined },
            0.5,
          );
          kernels.expertBiasBackward(
            perExpert,
            {
              dy: side(y),
              dbias: side(dbias),
              weighted: weighted
                ? { bias: side(bias), rowScale: side(rowScale), drowScale: side(drowScale) }
                : undefined,
            },
            0.5,
          );
          if (isOrder)
            kernels.regroup(order, dice.whole(0, 0) === seed % 2 ? "toExperts" : "toSources", side(y), side(regrouped));
        },
        1e-6,
        `seed ${seed}`,
      );
    });
  });
});

describe("optimizer", () => {
  test("steps of every algorithm within 1e-6", () => {
    const algorithms: readonly OptimizerName[] = ["adamw", "sgd", "muon", "adafactor"];
    forSeeds(24, (twins, seed) => {
      const { dice } = twins;
      const algorithm = algorithms[seed % 4]!;
      const [rows, cols] = [dice.whole(1, 5), dice.whole(1, 23)];
      const positive = () => 0.1 + dice.unit();
      const [grad, master, m, v] = [
        twins.mat(rows, cols, undefined, seed % 3 === 0),
        twins.mat(rows, cols, undefined, false),
        twins.mat(rows, cols, undefined, false),
        twins.mat(rows, cols, positive, false),
      ];
      const settings = {
        step: dice.whole(1, 1000),
        learningRate: 0.01,
        weightDecay: 0.1,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        momentum: 0.95,
        gradScale: dice.pick(1, 0.125),
        decaysVectors: true,
      };
      const states = algorithm === "adamw" ? [m, v] : algorithm === "sgd" ? [m] : algorithm === "adafactor" ? [v] : [];
      twins.compare(
        (kernels, side) => kernels.optimizerStep(algorithm, side(grad), side(master), states.map(side), settings),
        1e-6,
        `seed ${seed} ${algorithm}`,
      );
    });
  });
});
