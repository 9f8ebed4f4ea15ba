import { describe, expect, it } from "vitest";
import { conv, convBackward } from "./conv.ts";
import {
  activation,
  activationBackward,
  dropout,
  dropoutBackward,
  dropoutKeeps,
  headConcat,
  headSplit,
  repeatHeads,
  rope,
  sigmoidGate,
  sigmoidGateBackward,
} from "./elementwise.ts";
import { embedding, embeddingBackward, logitsMax, logitsSum, lossBackward, lossSum } from "./embedding.ts";
import { gradientError, maxDifference, randomMat } from "./finiteDifference.fixture.ts";
import { biasGrad, groupedMatmul, matmul } from "./linear.ts";
import { columnsOf, type Mat, mat, rowsOf } from "./mat.ts";
import { norm, normBackward } from "./norm.ts";
import { type ScanShape, scan, scanBackward } from "./scan.ts";

const tolerance = 1e-6;

function made(rows: number, cols: number, fill: (out: Mat) => void): Mat {
  const out = mat(rows, cols);
  fill(out);
  return out;
}

describe("backward kernels equal finite differences of their forward", () => {
  it.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("matmul transA=%s transB=%s", (transA, transB) => {
    const a = transA ? randomMat("a", 4, 3) : randomMat("a", 3, 4);
    const b = transB ? randomMat("b", 5, 4) : randomMat("b", 4, 5);
    const bias = randomMat("bias", 1, 5);
    const flags = { transA, transB, accumulate: false };
    const error = gradientError(
      [a, b, bias],
      () => made(3, 5, (out) => matmul(a, b, out, flags, bias)),
      (dout) => [
        made(a.rows, a.cols, (da) =>
          transA
            ? matmul(b, dout, da, { transA: transB, transB: true, accumulate: false })
            : matmul(dout, b, da, { transA: false, transB: !transB, accumulate: false }),
        ),
        made(b.rows, b.cols, (db) =>
          transB
            ? matmul(dout, a, db, { transA: true, transB: transA, accumulate: false })
            : matmul(a, dout, db, { transA: !transA, transB: false, accumulate: false }),
        ),
        made(1, 5, (out) => biasGrad(dout, out, false)),
      ],
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("groupedMatmul with an empty group", () => {
    const counts = [2, 0, 3];
    const a = randomMat("a", 5, 4);
    const w = randomMat("w", 3 * 2, 4);
    const error = gradientError(
      [a, w],
      () => made(5, 2, (out) => groupedMatmul("forward", a, w, out, counts, false)),
      (dout) => [
        made(5, 4, (out) => groupedMatmul("inputGrad", dout, w, out, counts, false)),
        made(6, 4, (out) => groupedMatmul("weightGrad", a, dout, out, counts, true)),
      ],
    );
    expect(error).toBeLessThan(tolerance);
  });

  it.each([
    ["rmsnorm", 0],
    ["layernorm", 0],
    ["rmsnorm", 3],
    ["layernorm", 3],
  ] as const)("%s in groups of %i", (name, width) => {
    const x = randomMat("x", 3, 6);
    const weight = randomMat("w", 1, width === 0 ? 6 : 3);
    const bias = randomMat("b", 1, width === 0 ? 6 : 3);
    const error = gradientError(
      [x, weight, bias],
      () => made(3, 6, (y) => norm(name, x, weight, bias, y, width)),
      (dy) => {
        const [dx, dweight, dbias] = [mat(3, 6), mat(1, weight.cols), mat(1, weight.cols)];
        normBackward(name, { x, weight, dy, dx, dweight, dbias, width });
        return [dx, dweight, dbias];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });

  it.each(["gelu", "silu", "relu", "relu2", "quick_gelu", "tanh"] as const)("%s, plain and gated", (fn) => {
    for (const gated of [false, true]) {
      const x = randomMat("x", 3, 6, 2);
      const cols = gated ? 3 : 6;
      const error = gradientError(
        [x],
        () => made(3, cols, (y) => activation(fn, gated, x, y)),
        (dy) => [made(3, 6, (dx) => activationBackward(fn, gated, x, dy, dx))],
      );
      expect(error).toBeLessThan(tolerance);
    }
  });

  it.each([1, 4])("sigmoidGate with %i gate columns", (cols) => {
    const gate = randomMat("g", 3, cols);
    const x = randomMat("x", 3, 4);
    const error = gradientError(
      [gate, x],
      () => made(3, 4, (out) => sigmoidGate(gate, x, out)),
      (dy) => {
        const [dgate, dx] = [mat(3, cols), mat(3, 4)];
        sigmoidGateBackward(gate, x, dy, dgate, dx);
        return [dgate, dx];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("rope, whose inverse is its backward", () => {
    const x = randomMat("x", 3, 12);
    const position = Int32Array.of(0, 5, 17);
    const shape = { headDim: 6, from: 1, ropeDim: 4 };
    const error = gradientError(
      [x],
      () => made(3, 12, (out) => rope(x, out, position, { ...shape, inverse: false })),
      (dy) => [made(3, 12, (dx) => rope(dy, dx, position, { ...shape, inverse: true }))],
    );
    expect(error).toBeLessThan(tolerance);
  });

  it.each([true, false])("headConcat, whose backward is headSplit, shared part %s", (sharedB) => {
    const parts = { heads: 3, aDim: 2, bDim: 1, sharedB };
    const a = randomMat("a", 4, 6);
    const b = randomMat("b", 4, sharedB ? 1 : 3);
    const error = gradientError(
      [a, b],
      () => made(4, 9, (out) => headConcat(a, b, out, parts)),
      (dout) => {
        const [da, db] = [mat(4, 6), mat(4, b.cols)];
        headSplit(dout, da, db, parts);
        return [da, db];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("repeatHeads, whose backward is its sum", () => {
    const x = randomMat("x", 3, 4);
    const shape = { headDim: 2, repeats: 3 };
    const error = gradientError(
      [x],
      () => made(3, 12, (out) => repeatHeads(x, out, { ...shape, sum: false })),
      (dout) => [made(3, 4, (dx) => repeatHeads(dout, dx, { ...shape, sum: true }))],
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("dropout", () => {
    const x = randomMat("x", 3, 4);
    const mask = mat(3, 4);
    const error = gradientError(
      [x],
      () => made(3, 4, (y) => dropout(x, mask, y, 0.25, (i, j) => dropoutKeeps(i, j, 7, 0.25))),
      (dy) => [made(3, 4, (dx) => dropoutBackward(dy, mask, dx, 0.25))],
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("embedding with positions", () => {
    const table = randomMat("t", 4, 3);
    const positions = randomMat("p", 6, 3);
    const ids = [5, 2, 3, 5];
    const position = Int32Array.of(0, 1, 2, 5);
    const error = gradientError(
      [table, positions],
      () => made(4, 3, (out) => embedding(table, out, ids, 2, { table: positions, position, scale: 1 })),
      (dout) => {
        const [dtable, dpositions] = [mat(4, 3), mat(6, 3)];
        embeddingBackward(dout, dtable, ids, 2, { dtable: dpositions, position });
        return [dtable, dpositions];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("cross-entropy", () => {
    const logits = randomMat("l", 3, 5, 3);
    const targets = [4, 0, 2];
    const [rowMax, sums] = [mat(3, 1), mat(3, 2)];
    const run = () => {
      logitsMax(logits, rowMax);
      logitsSum(logits, rowMax, sums, targets, 0);
      return made(1, 1, (loss) => lossSum(sums, loss, 0.5));
    };
    const error = gradientError([logits], run, (dloss) => {
      run();
      return [
        made(3, 5, (dlogits) => lossBackward({ logits, rowMax, sums, dlogits }, targets, 0, 0.5 * dloss.data[0]!)),
      ];
    });
    expect(error).toBeLessThan(tolerance);
  });

  it.each(["mamba1", "mamba2", "gatedDelta"] as const)("scan of %s with grouped heads, two sequences", (variant) => {
    const shape: ScanShape = { variant, innerDim: 8, stateDim: 3, heads: 4, groups: 2, batch: 2 };
    const inputs = {
      x: randomMat("x", 10, 8 + 2 * 2 * 3),
      perHead: randomMat("perHead", 10, variant === "gatedDelta" ? 8 : 4),
      decay: randomMat("decay", 1, 4),
      skip: randomMat("skip", 1, 4),
    };
    const error = gradientError(
      [inputs.x, inputs.perHead, inputs.decay, inputs.skip],
      () => made(10, 8, (y) => scan(shape, inputs, y)),
      (dy) => {
        const [dx, dperHead, ddecay, dskip] = [mat(10, 20), mat(10, inputs.perHead.cols), mat(1, 4), mat(1, 4)];
        scanBackward(shape, inputs, dy, { dx, dperHead, ddecay, dskip });
        return [dx, dperHead, ddecay, dskip];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });

  it("conv over two sequences", () => {
    const x = randomMat("x", 10, 3);
    const weight = randomMat("w", 3, 4);
    const error = gradientError(
      [x, weight],
      () => made(10, 3, (y) => conv(x, weight, y, 2)),
      (dy) => {
        const [dx, dweight] = [mat(10, 3), mat(3, 4)];
        convBackward(x, weight, dy, dx, dweight, 2);
        return [dx, dweight];
      },
    );
    expect(error).toBeLessThan(tolerance);
  });
});

describe("vocabulary shards", () => {
  it("sum to the whole embedding and cross-entropy", () => {
    const table = randomMat("t", 6, 3);
    const ids = [5, 2, 0];
    const [whole, low, high] = [mat(3, 3), mat(3, 3), mat(3, 3)];
    embedding(table, whole, ids, 0);
    embedding(rowsOf(table, 0, 3), low, ids, 0);
    embedding(rowsOf(table, 3, 3), high, ids, 3);
    for (let i = 0; i < 9; i++) low.data[i]! += high.data[i]!;
    expect(maxDifference(whole, low)).toBe(0);

    const logits = randomMat("l", 3, 6, 3);
    const halves = [columnsOf(logits, 0, 3), columnsOf(logits, 3, 3)];
    const maxima = halves.map((half) => made(3, 1, (out) => logitsMax(half, out)));
    const rowMax = made(3, 1, (out) => logitsMax(logits, out));
    expect([0, 1, 2].map((i) => Math.max(maxima[0]!.data[i]!, maxima[1]!.data[i]!))).toEqual([...rowMax.data]);
    const sums = made(3, 2, (out) => logitsSum(logits, rowMax, out, ids, 0));
    const parts = halves.map((half, shard) => made(3, 2, (out) => logitsSum(half, rowMax, out, ids, 3 * shard)));
    for (let i = 0; i < 6; i++) expect(parts[0]!.data[i]! + parts[1]!.data[i]!).toBeCloseTo(sums.data[i]!, 14);
  });
});
