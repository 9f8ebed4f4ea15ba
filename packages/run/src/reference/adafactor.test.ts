// Adafactor under every kind of sharding: parameters after a step equal the unsplit model's, whose step is written out in truth/adafactor.ts.

import type { Program } from "@meshwright/core";
import { describe, expect, it } from "vitest";
import { factoredStep, type MatrixPlace, squareSums } from "./kernels/adafactor.ts";
import { mat, matFrom } from "./kernels/mat.ts";
import { firstStep } from "./kernels/optimizer.ts";
import type { TinyChoice } from "./tinyCases.fixture.ts";
import { checkUpdate, lowered, sharded, split, updateChoices } from "./updateCases.fixture.ts";
import { verifyProgram } from "./verify.ts";

const adafactor = (choice: Partial<TinyChoice>) => ({ ...choice, optimizer: "adafactor" }) as const;

describe("a step of Adafactor", () => {
  it.each(updateChoices)("equals the unsplit model's: %s", (_, choice) => checkUpdate(adafactor(choice)));

  it.each([
    ["one rank", {}],
    ["tp and zero1", { tensor: split, dp: 2, sharding: sharded("zero1") }],
  ])("equals the unsplit model's with the optimizer in host memory: %s", (_, choice) =>
    checkUpdate(adafactor({ ...choice, offloadOptimizer: true })),
  );

  it.each(["shard", "tp"])("is found wrong when sums are not added up over %s", (axis) => {
    const { program, request } = lowered(adafactor({ tensor: split, dp: 2, sharding: sharded("zero1") }));
    const wrong: Program = {
      ...program,
      blocks: program.blocks.map((block) => ({
        ...block,
        update: block.update.filter((op) => op.kind !== "collective" || op.axis !== axis),
      })),
    };
    expect(() => expect(verifyProgram(wrong, request).updateMaxRelErr).toBeLessThan(1e-9)).toThrow();
  });

  it("is refused with a head that is spread over the stages", () => {
    const pipeline = { pp: 2, schedule: "interleaved", numChunks: 2 };
    expect(() => lowered(adafactor({ pipeline }), { vocabOverStages: true })).toThrow(
      /Adafactor sums over the columns/,
    );
  });
});

describe("factoredStep()", () => {
  it("averages moments over steps with the decay 1 - step^-0.8", () => {
    const place: MatrixPlace = { rows: 2, columns: 3, count: 1, allRows: 2, allColumns: 3, offset: 0 };
    const vectors = () => ({ rows: mat(1, 2), columns: mat(1, 3) });
    const moments = vectors();
    const master = mat(2, 3);
    let expected = 0;
    for (const [i, size] of [1, 2, 3].entries()) {
      const grad = matFrom(2, 3, () => size);
      const sums = vectors();
      squareSums(grad, sums, place, 1, null);
      factoredStep(grad, master, moments, sums, place, { ...firstStep, step: i + 1 });
      const decay = 1 - (i + 1) ** -0.8;
      expected = decay * expected + (1 - decay) * size ** 2;
      for (const value of [...moments.rows.data, ...moments.columns.data]) expect(value).toBeCloseTo(expected, 12);
    }
  });
});
