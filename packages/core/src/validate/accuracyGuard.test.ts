import { describe, expect, it } from "vitest";
import { predictStep } from "../simulate/index.ts";
import { guardKey, guardSummary } from "./accuracyGuard.ts";
import limits from "./data/limits.json" with { type: "json" };

describe("accuracy on shipped runs", () => {
  const entries = guardSummary((spec, options) => predictStep(spec, { ...options, suggest: false }));

  it("has a limit for every source", () => {
    expect(entries.map(guardKey).sort()).toEqual(Object.keys(limits).sort());
  });

  it.each(entries.map((entry) => [guardKey(entry), entry] as const))("%s stays within its limit", (key, entry) => {
    expect(entry.mape).toBeLessThanOrEqual((limits as Record<string, number>)[key] ?? 0);
  });
});
