import fc from "fast-check";
import { describe, expect, it } from "vitest";
import shipped from "./data/rows.json" with { type: "json" };
import { packRows, unpackRows } from "./packedRows.ts";
import { specOfRow } from "./trainingRows.ts";

describe("packRows()", () => {
  it("is undone by unpackRows()", () => {
    const value = fc.oneof(fc.integer(), fc.boolean(), fc.string(), fc.constant(null), fc.array(fc.integer()));
    const inner = fc.dictionary(fc.constantFrom("x", "y"), value, { minKeys: 1 });
    const row = fc.record(
      { id: value, seq: value, model: inner, other_flags: inner, measured: inner },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), (rows) => {
        expect(unpackRows(JSON.parse(JSON.stringify(packRows(rows, "test"))))).toEqual(
          JSON.parse(JSON.stringify(rows)),
        );
      }),
    );
  });
});

describe("the shipped rows", () => {
  const rows = unpackRows(shipped);
  it("are hundreds of runs, at least 97 % of which can be expressed", () => {
    const core = rows.filter((row) => row.tier === "core");
    const lost = core.filter((row) => "unsupported" in specOfRow(row));
    expect(core.length).toBeGreaterThan(300);
    expect(lost.length / core.length).toBeLessThan(0.03);
  });
});
