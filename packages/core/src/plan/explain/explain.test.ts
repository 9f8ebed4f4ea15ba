import { expect, test } from "vitest";
import { explain } from "./explain.ts";
import { specOf } from "./jobs.fixture.ts";

const named = (name: string, strategy: Record<string, unknown> = {}) => ({ name, spec: specOf({ strategy }) });

test("an explanation holds the waterfall, the bottleneck, comparisons and needs of one prediction", () => {
  const result = explain(named("plain"), {
    sensitivities: false,
    against: [named("recomputed", { recompute: "full" }), named("split", { pp: 4 })],
    targets: [{ quantity: "mfu", value: 0.9 }],
  });
  if (result.kind !== "ok") throw new Error("fits");
  expect(result.waterfall.stepSec).toBe(result.result.stepSec);
  expect(result.comparisons.map(({ other }) => other)).toEqual(["recomputed", "split"]);
  expect(result.needs).toHaveLength(1);
  expect(result.sensitivities).toEqual([]);
});

test("a job that does not fit is answered with changes that would", () => {
  const spec = specOf({ model: "llama-3.1-8b", cluster: "8xh100-sxm", strategy: { sharding: "none" }, batch: 8 });
  const result = explain({ name: "too large", spec });
  expect(result.kind).toBe("infeasible");
  if (result.kind === "infeasible") expect(result.suggestions!.length).toBeGreaterThan(0);
});

test("another job that does not fit is named, not compared", () => {
  const large = specOf({ model: "llama-3.1-8b", cluster: "16xh100-sxm", strategy: { sharding: "none" } });
  const result = explain(named("plain"), { sensitivities: false, against: [{ name: "large", spec: large }] });
  if (result.kind !== "ok") throw new Error("fits");
  expect(result.comparisons).toEqual([]);
  expect(result.unfit.map(({ name }) => name)).toEqual(["large"]);
});
