import { accuracySummary } from "@meshwright/core/validate";
import { expect, test } from "vitest";
import { filtered, firstView, readAccuracyView, valuesOf } from "./filter.ts";
import type { PackedAccuracy } from "./packed.ts";
import packed from "./rows.json";
import { histogram, scored, summaryOf, unpackAccuracy } from "./rows.ts";

const rows = unpackAccuracy(packed as unknown as PackedAccuracy);

test("the page's figures are those of the document and of the note under reports", () => {
  for (const [quantity, name] of [
    ["step", "step_time"],
    ["memory", "peak_memory"],
  ] as const)
    for (const tier of ["core", "extended"]) {
      const entry = accuracySummary.find((each) => each.tier === tier && each.quantity === name && each.source === "*");
      const summary = summaryOf(scored(filtered(rows, { ...firstView, only: { tier } }), quantity));
      expect(summary?.count).toBe(entry?.predicted);
      // Figures are stored with four digits.
      expect(summary?.mape).toBeCloseTo(entry?.mape ?? Number.NaN, 3);
      expect(summary?.bias).toBeCloseTo(entry?.bias ?? Number.NaN, 3);
    }
});

test("every row says where it was measured, and every row without a prediction why", () => {
  for (const row of rows) {
    expect(row.citation, row.id).not.toBe("");
    if (row.status !== "predicted") expect(row.remark, row.id).not.toBe("");
  }
});

test("filters narrow, and a facet counts what is there", () => {
  const h100 = filtered(rows, { ...firstView, only: { accelerator: "H100-SXM5-80GB", tier: "core" } });
  expect(h100.length).toBeGreaterThan(10);
  expect(new Set(h100.map((row) => row.accelerator))).toEqual(new Set(["H100-SXM5-80GB"]));
  const total = valuesOf(rows, "tier").reduce((sum, { count }) => sum + count, 0);
  expect(total).toBe(rows.length);
});

test("a histogram loses no row", () => {
  const bins = histogram([-2, -0.05, 0, 0.049, 0.05, 3], 0.05, 0.5);
  expect(bins).toHaveLength(20);
  expect(bins.map((bin) => bin.count).filter((count) => count > 0)).toEqual([1, 1, 2, 1, 1]);
  expect(bins.reduce((sum, bin) => sum + bin.count, 0)).toBe(6);
});

test("what an old link remembers cannot break the page", () => {
  for (const stored of [undefined, null, 3, "x", { only: 3, quantity: 7, colourBy: "nothing" }, { only: { tier: 4 } }])
    expect(readAccuracyView(stored)).toEqual(firstView);
});
