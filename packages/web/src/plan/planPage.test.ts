import { expect, test } from "vitest";
import { mergedRows, type PlanRow } from "../compute/planRow.ts";
import { isPicked, jobKey, unpicked, withRow } from "../search/picked.ts";
import { exampleRun, type RunFile } from "../state/runFile.ts";
import { withCluster } from "./ClusterBuilder.tsx";
import { filterRows } from "./filterRows.ts";
import { limitsOf, limitText, withLimits } from "./limits.ts";
import { frontOf } from "./ParetoPlot.tsx";
import { rowsCsv } from "./rowsCsv.ts";
import { withSuggestion } from "./suggestion.ts";

const row = (change: Partial<PlanRow>): PlanRow => {
  const strategy = { tp: 8, pp: 1, dp: 8, micro_batch: 1, sharding: "zero1", precision: "bf16", ...change.strategy };
  return {
    ...{ key: JSON.stringify(strategy), origin: "search", rule: null, value: 10, stepSec: 10, tokensPerSec: 1000 },
    ...{ mfuCausal: 0.4, peakBytes: 60 * 2 ** 30, energyJoules: 5e6, usdPerBillionTokens: 600 },
    ...{ layout: "tp 8 pp 1 dp 8 mb 1 zero1", tp: 8, cp: 1, pp: 1, dp: 8, ep: 1, microBatch: 1 },
    ...{ sharding: "zero1", recompute: "none", schedule: "-", capacityBytes: 80 * 2 ** 30, software: {} },
    ...change,
    strategy,
  } as PlanRow;
};

test("a picked strategy is no other job: the search does not begin again, also where it turns overlaps off", () => {
  const plain = withRow(exampleRun, row({}));
  expect(isPicked(plain)).toBe(true);
  expect(jobKey(plain)).toBe(jobKey(exampleRun));
  const quieter = withRow(exampleRun, row({ software: { overlap_p2p: false } }));
  expect(quieter.software).toEqual({ preset: "megatron-core", overlap_p2p: false });
  expect(jobKey(quieter)).toBe(jobKey(exampleRun));
  expect(unpicked(quieter)).toEqual(exampleRun);
});

test("precision belongs to the job, and stays when a strategy is picked or let go", () => {
  const fp8: RunFile = { ...exampleRun, strategy: { precision: "fp8" } };
  expect(isPicked(fp8)).toBe(false);
  expect(jobKey(fp8)).not.toBe(jobKey(exampleRun));
  const picked = withRow(fp8, row({ strategy: { precision: "fp8" } }));
  expect(picked.strategy?.["precision"]).toBe("fp8");
  expect(unpicked(picked)).toEqual(fp8);
});

test("limits go into the plan section and come back, and an empty section leaves", () => {
  const run = withLimits(exampleRun, [
    { kind: "fix", name: "tp", value: "4, 8" },
    { kind: "fix", name: "sequence_parallel", value: "true" },
    { kind: "max", name: "pp", value: "4" },
    { kind: "forbid", name: "offload", value: "" },
    { kind: "forbid", name: "recompute", value: "full" },
    { kind: "open", name: "order", value: "" },
  ]);
  expect(run.plan).toEqual({
    fix: { tp: [4, 8], sequence_parallel: true },
    max: { pp: 4 },
    forbid: ["offload", "recompute=full"],
    open: ["order"],
  });
  expect(limitsOf(run).map(limitText)).toEqual([
    "tp = 4 or 8",
    "sequence_parallel = true",
    "pp ≤ 4",
    "no offload",
    "recompute ≠ full",
    "every order",
  ]);
  expect(withLimits(run, [])).toEqual(exampleRun);
});

test("the filter takes words and comparisons, all of which must hold", () => {
  const rows = [
    row({}),
    row({ tp: 4, layout: "tp 4 zero3", sharding: "zero3", peakBytes: 70 * 2 ** 30 }),
    row({ rule: "FSDP only" }),
  ];
  const shown = (filter: string, rules = true) => filterRows(rows, { filter, rules }).map((each) => rows.indexOf(each));
  expect(shown("")).toEqual([0, 1, 2]);
  expect(shown("tp=8")).toEqual([0, 2]);
  expect(shown("tp<8 mem>65")).toEqual([1]);
  expect(shown("zero3")).toEqual([1]);
  expect(shown("fsdp")).toEqual([2]);
  expect(shown("tp=8", false)).toEqual([0]);
  expect(shown("nothing=3")).toEqual([]);
});

test("of one layout the best row stays, and a rule's own row always", () => {
  const searched = row({ value: 9, stepSec: 9, strategy: { recompute: "full" } });
  const plain = row({ origin: "survey", value: 10, stepSec: 10 });
  const byRule = row({ origin: "rule", rule: "3D heuristic", value: 12, stepSec: 12, strategy: { sharding: "none" } });
  expect(mergedRows([searched], [plain, byRule]).map(({ stepSec }) => stepSec)).toEqual([9, 12]);
});

test("a strategy that a rule gives and the search finds is one row that names the rule", () => {
  const merged = mergedRows([row({})], [row({ origin: "rule", rule: "Megatron's rule" })]);
  expect(merged.map(({ origin, rule }) => [origin, rule])).toEqual([["search", "Megatron's rule"]]);
});

test("the front joins rows that none beats in throughput and headroom", () => {
  const at = (tokensPerSec: number, gib: number) =>
    row({ tokensPerSec, peakBytes: (80 - gib) * 2 ** 30, key: `${tokensPerSec}` });
  const rows = [at(100, 5), at(90, 20), at(80, 10), at(70, 30), at(60, 30)];
  const headroom = { value: (each: PlanRow) => each.capacityBytes - each.peakBytes, better: "more" } as const;
  expect(frontOf(rows, headroom).map(({ tokensPerSec }) => tokensPerSec)).toEqual([100, 90, 70]);
});

test("advice that moves ranks lets go of fields that follow from the sizes", () => {
  const run: RunFile = { ...exampleRun, strategy: { tp: 4, dp: 16, shard_group: 16, recompute: "none" } };
  expect(withSuggestion(run, { "strategy.tp": 8, "strategy.dp": 8, "strategy.recompute": "full" }).strategy).toEqual({
    tp: 8,
    dp: 8,
    recompute: "full",
  });
  const selective = { "strategy.recompute": "{kind: selective, modules: [attention, norm, activation]}" };
  expect(withSuggestion(run, selective).strategy?.["recompute"]).toEqual({
    kind: "selective",
    modules: ["attention", "norm", "activation"],
  });
  expect(withSuggestion(run, { "strategy.microBatch": 1 }).strategy?.["micro_batch"]).toBe(1);
});

test("a field of the cluster turns a shorthand into a description of the same size", () => {
  const facts = {
    ...{
      name: "64xh100-sxm",
      device: "NVIDIA H100",
      deviceId: "h100_sxm",
      numDevices: 64,
      devicesPerNode: 8,
      numNics: 8,
    },
    ...{ nicBytesPerSec: 50e9, memoryBytes: 80e9, usdPerDeviceHour: null, mixed: false, levels: [] },
  };
  const faster = withCluster(exampleRun, facts, { nics: { speed: "800Gb/s" } });
  expect(faster.cluster).toEqual({ device: "h100_sxm", nodes: 8, gpus_per_node: 8, nics: { speed: "800Gb/s" } });
  const more = withCluster(faster, facts, { nics: { count: 4 } });
  expect((more.cluster as Record<string, unknown>)["nics"]).toEqual({ speed: "800Gb/s", count: 4 });
  const other = withCluster(more, facts, { device: "b200_sxm" });
  expect(other.cluster).toEqual({ device: "b200_sxm", nodes: 8 });
});

test("CSV quotes what holds a comma or a quote", () => {
  const text = rowsCsv([row({ layout: 'tp 8, "odd"' })]);
  expect(text.split("\n")[1]).toMatch(/^"tp 8, ""odd""",8,1,1,8,1,1,-,zero1,none,10,1000,/);
});
