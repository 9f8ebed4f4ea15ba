import { describe, expect, test } from "vitest";
import type { Infeasible, StepResult } from "../simulate/types.ts";
import { summariseGroups, validateLayouts, WITHIN_FRAC } from "./layouts.ts";
import type { Predictor } from "./scoreTraining.ts";

const model = {
  name: "m",
  layers: 8,
  hidden: 1024,
  heads: 8,
  kv_heads: 8,
  head_dim: 128,
  ffn: 4096,
  ffn_gated: true,
  vocab: 32000,
  tied: false,
};

/** A run measured at `stepSec` under tp x pp. */
function row(tp: number, pp: number, stepSec: number, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    id: `tp${tp}-pp${pp}-${stepSec}`,
    source_key: "s",
    tier: "core",
    framework: "Megatron-LM",
    framework_version_or_date: "2024",
    accelerator: "H100-SXM5-80GB",
    gpus: 8,
    gpus_per_node: 8,
    network: null,
    model,
    seq_len: 1024,
    global_batch: 64,
    micro_batch: 1,
    vpp: 1,
    tp,
    pp,
    cp: 1,
    ep: 1,
    etp: 1,
    dp: 8 / tp / pp,
    zero_or_sharding: "distopt",
    sequence_parallel: true,
    recompute: "none",
    precision: "bf16",
    measured: { step_time_s: stepSec },
    ...more,
  };
}

/** Predicts a time for each tp; null: does not fit. */
function predicting(times: Readonly<Record<number, number | null>>): Predictor {
  return ({ strategy }, options) => {
    const sec = times[strategy.tp];
    if (sec === null && options?.ignoreMemory !== true)
      return { kind: "infeasible", reason: "memory", pipelineRank: 0, needBytes: 2, haveBytes: 1 } as Infeasible;
    return {
      kind: "ok",
      stepSec: sec ?? 1,
      tokensPerSecPerDevice: 1,
      ranks: [{ pipelineRank: 0, memory: { peakBytes: 1, reservedBytes: 0, activationBytes: 1 } }],
      notes: [],
    } as unknown as StepResult;
  };
}

const groupsOf = (rows: readonly Record<string, unknown>[], predict: Predictor) =>
  validateLayouts({ name: "rows.jsonl", text: rows.map((each) => JSON.stringify(each)).join("\n") }, { predict });

describe("layouts of one job", () => {
  const rows = [row(1, 1, 10), row(2, 1, 11), row(4, 1, 13)];

  test("the regret is how much slower the predicted best was measured to be", () => {
    const { groups, summary } = groupsOf(rows, predicting({ 1: 9, 2: 8, 4: 20 }));
    expect(groups).toHaveLength(1);
    expect(groups[0]!.predicted_best).toContain("tp 2");
    expect(groups[0]!.measured_best).toContain("tp 1");
    expect(groups[0]!.regret_frac).toBeCloseTo(0.1, 12);
    expect(summary).toMatchObject({ groups: 1, within: 0, exact: 0 });
    expect(summary.mean_regret).toBeCloseTo(0.1, 12);
    expect(summary.random_regret).toBeCloseTo((0 + 0.1 + 0.3) / 3, 12);
  });

  test("an error that all layouts share costs nothing", () => {
    const { summary } = groupsOf(rows, predicting({ 1: 30, 2: 33, 4: 39 }));
    expect(summary).toMatchObject({ within: 1, within_share: 1, exact: 1, mean_regret: 0 });
  });

  test("within 5 % counts as right", () => {
    expect(WITHIN_FRAC).toBe(0.05);
    const near = [row(1, 1, 10), row(2, 1, 10.4)];
    expect(groupsOf(near, predicting({ 1: 9, 2: 8 })).summary).toMatchObject({ within: 1, exact: 0 });
  });

  test("a layout that is predicted not to fit is not chosen; none left is a miss", () => {
    const one = groupsOf(rows, predicting({ 1: 9, 2: null, 4: 20 }));
    expect(one.groups[0]!.predicted_best).toContain("tp 1");
    expect(one.groups[0]!.layouts.map(({ refused }) => refused)).toEqual([false, true, false]);
    const none = groupsOf(rows, predicting({ 1: null, 2: null, 4: null }));
    expect(none.groups[0]).toMatchObject({ predicted_best: null, regret_frac: null });
    expect(none.summary).toMatchObject({ groups: 1, within: 0, within_share: 0 });
  });

  test("repeated runs count as their mean; a version that measured one layout only says nothing beside one that measured both", () => {
    const old = { framework_version_or_date: "2023" };
    const mixed = [row(1, 1, 10), row(2, 1, 12), row(2, 1, 14), row(1, 1, 30, old)];
    const { groups } = groupsOf(mixed, predicting({ 1: 9, 2: 8 }));
    expect(groups[0]!.layouts.map(({ measured_s, rows: ids }) => [measured_s, ids.length])).toEqual([
      [10, 1],
      [13, 2],
    ]);
    expect(groups[0]!.regret_frac).toBeCloseTo(0.3, 12);
  });

  test("where no version measured two layouts, all runs count", () => {
    const { groups } = groupsOf(
      [row(1, 1, 10), row(2, 1, 12, { framework_version_or_date: "2023" })],
      predicting({ 1: 1, 2: 2 }),
    );
    expect(groups).toHaveLength(1);
  });

  test("other jobs are other groups; one layout, auxiliary and serving rows make none", () => {
    const rest = [
      row(1, 1, 10, { global_batch: 32 }),
      row(2, 1, 10, { precision: "fp16" }),
      row(2, 1, 10, { tier: "aux" }),
      { ...row(4, 1, 10), engine: "vllm", isl: 100 },
    ];
    expect(groupsOf([row(1, 1, 10), ...rest], predicting({ 1: 1, 2: 2 })).groups).toEqual([]);
  });

  test("throughput alone is turned into the time of a step", () => {
    const tokens = { measured: { tokens_per_s_per_gpu: 1024 } };
    const { groups } = groupsOf([row(1, 1, 0, tokens), row(2, 1, 9)], predicting({ 1: 1, 2: 2 }));
    expect(groups[0]!.layouts[0]!.measured_s).toBe((64 * 1024) / 1024 / 8);
  });
});

test("a file that holds no rows is a finding", () => {
  const { groups, findings } = validateLayouts({ name: "gemm.csv", text: "m,n,k\n1,2,3" }, { predict: predicting({}) });
  expect(groups).toEqual([]);
  expect(findings[0]!.message).toBe(
    '"gemm.csv" holds no training rows, which layouts are compared in: it is a table of kernels',
  );
});

test("no groups sum up to zeros, not to NaN", () => {
  expect(Object.values(summariseGroups([])).every((value) => value === 0)).toBe(true);
});
