import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { deviceByName } from "../cluster/index.ts";
import { softwarePreset } from "../parallel/software/index.ts";
import type { MemoryBreakdown, StepResult } from "../simulate/types.ts";
import { detectFile } from "./detect.ts";
import { validateText } from "./index.ts";
import { libraryWorkspaceBytes, predictedPeak } from "./rowMemory.ts";
import type { Predictor } from "./scoreTraining.ts";
import { summarise } from "./summary.ts";
import type { ValidationRow } from "./types.ts";
import { validateRows } from "./validateRows.ts";

const GIB = 2 ** 30;
const memory: MemoryBreakdown = {
  parameterBytes: 2 * GIB,
  gradientBytes: 2 * GIB,
  optimizerBytes: 4 * GIB,
  activationBytes: 8 * GIB,
  workspaceBytes: GIB,
  fragmentationBytes: GIB,
  reservedBytes: 2 * GIB,
  peakBytes: 20 * GIB,
  capacityBytes: 80 * GIB,
};
const step = (stepSec: number, ranks = [{ pipelineRank: 0, memory }]): StepResult =>
  ({
    kind: "ok",
    stepSec,
    tokensPerSecPerDevice: 1000 / stepSec,
    ranks,
    notes: [],
    opTotals: [],
  }) as unknown as StepResult;

const row = {
  id: "a",
  source_key: "s",
  tier: "core",
  framework: "torchtitan (FSDP2)",
  framework_version_or_date: "2025-06",
  accelerator: "H100-SXM5-80GB",
  gpus: 8,
  gpus_per_node: 8,
  network: null,
  task: "pretrain",
  model: {
    name: "m",
    layers: 4,
    hidden: 1024,
    heads: 8,
    kv_heads: 8,
    head_dim: 128,
    ffn: 4096,
    ffn_gated: true,
    vocab: 32000,
    tied: false,
  },
  seq_len: 1024,
  global_batch: 8,
  micro_batch: 1,
  tp: 1,
  pp: 1,
  vpp: 1,
  cp: 1,
  ep: 1,
  etp: 1,
  dp: 8,
  zero_or_sharding: "zero3",
  sequence_parallel: false,
  recompute: "none",
  precision: "bf16",
  attention_impl: "flash2",
  other_flags: {},
  measured: { step_time_s: 2, peak_mem_gib: 18 },
};
const lines = (...rows: readonly unknown[]): string =>
  rows.map((r) => (typeof r === "string" ? r : JSON.stringify(r))).join("\n");
const infeasible = {
  kind: "infeasible",
  reason: "memory",
  pipelineRank: 0,
  needBytes: 90 * GIB,
  haveBytes: 80 * GIB,
  memory,
} as const;

describe("validateRows()", () => {
  it("signs errors: slower and larger than measured is positive", () => {
    const { rows } = validateRows(lines(row), () => step(2.2));
    // 18 GiB, and 64 MiB that cuBLAS has of the allocator.
    expect(rows[0]).toMatchObject({ id: "a", status: "ok", predicted: { step_time_s: 2.2, peak_mem_gib: 18.0625 } });
    expect(rows[0]?.error_frac).toBeCloseTo(0.1, 12);
    expect(rows[0]?.memory_error_frac).toBeCloseTo(0.0625 / 18, 12);
  });

  it("reports corrupt lines by number and still validates the others", () => {
    const { rows, findings } = validateRows(lines(row, "{broken", "", "[1]", { ...row, id: "b" }), () => step(2));
    expect(rows.map((r) => r.id)).toEqual(["a", "b"]);
    expect(findings.map((f) => f.line)).toEqual([2, 4]);
  });

  it("keeps the prediction of a row refused for memory", () => {
    const predict: Predictor = (_spec, options) => (options?.ignoreMemory === true ? step(4) : infeasible);
    const { rows } = validateRows(lines(row, { ...row, id: "oom", measured: { oom: true } }), predict);
    expect(rows[0]).toMatchObject({ status: "infeasible", reason: expect.stringContaining("90.0 GiB"), error_frac: 1 });
    expect(rows[1]).toMatchObject({ status: "infeasible", oom: true });
    expect(summarise(rows).find((e) => e.quantity === "peak_memory" && e.source_key === "s")).toMatchObject({
      refused: 1,
      oomRows: 1,
      oomPredicted: 1,
    });
  });

  it("does not judge a row whose measured peak its device cannot hold", () => {
    const peak = (gib: number) =>
      validateRows(lines({ ...row, measured: { step_time_s: 2, peak_mem_gib: gib } }), () => step(2)).rows[0]!;
    expect(peak(80).status).toBe("ok");
    expect(peak(84)).toMatchObject({ status: "unsupported" });
    expect(peak(84).reason).toContain("exceeds");
  });

  it("takes the least recomputation that fits when none is stated", () => {
    const predict: Predictor = (spec) => (spec.strategy.recompute.kind === "full" ? step(3) : infeasible);
    const { rows } = validateRows(lines({ ...row, recompute: "unknown" }), predict);
    expect(rows[0]).toMatchObject({ status: "ok", error_frac: 0.5 });
    expect(rows[0]?.notes?.join()).toContain('chosen by memory: {"recompute":{"kind":"full"');
  });

  it("says that serving rows are unsupported", () => {
    const { rows } = validateRows(lines({ id: "x", engine: "vllm", isl: 1, osl: 1, quality: "A" }), () => step(1));
    expect(rows[0]).toMatchObject({ status: "unsupported", tier: "serving-A" });
  });

  it("never throws on rows of any shape", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...Object.keys(row)), fc.jsonValue()), (changes) => {
        const { rows } = validateRows(lines({ ...row, ...changes }), () => step(1));
        expect(rows.length).toBe(1);
      }),
      { numRuns: 300 },
    );
  });
});

describe("libraryWorkspaceBytes()", () => {
  it("follows the architecture, deterministic kernels and Transformer Engine", () => {
    const mib = (device: string, software: string, args: Record<string, string> = {}) =>
      libraryWorkspaceBytes({ other_flags: { args } }, deviceByName(device), softwarePreset(software)) / 2 ** 20;
    expect(mib("h100_sxm", "pytorch-fsdp2")).toBe(64);
    expect(mib("a100_sxm", "pytorch-fsdp2")).toBe(16);
    expect(mib("a100_sxm", "megatron-core-2025")).toBe(20);
    expect(mib("a100_sxm", "megatron-core-2025", { "deterministic-mode": "true" })).toBe(68);
    expect(mib("h100_sxm", "megatron-core-2025", { "transformer-impl": "local" })).toBe(64);
    expect(mib("tpu_v5p", "maxtext")).toBe(0);
  });
});

describe("predictedPeak()", () => {
  it("counts what the measurement counts, on the ranks it means", () => {
    const small = { ...memory, activationBytes: GIB };
    const ranks = [
      { pipelineRank: 0, memory },
      { pipelineRank: 1, memory: small },
    ];
    expect(predictedPeak(ranks, { counts: "allocated", ranks: "worst" })).toBe(17 * GIB);
    expect(predictedPeak(ranks, { counts: "allocated", ranks: "last" })).toBe(10 * GIB);
    expect(predictedPeak(ranks, { counts: "reserved", ranks: "first" })).toBe(18 * GIB);
    expect(predictedPeak(ranks, { counts: "device", ranks: "ends" })).toBe(20 * GIB);
    // Libraries' workspaces come from the allocator; nvidia-smi's figure holds them among what is reserved.
    expect(predictedPeak(ranks, { counts: "allocated", ranks: "last" }, GIB)).toBe(11 * GIB);
    expect(predictedPeak(ranks, { counts: "device", ranks: "ends" }, GIB)).toBe(20 * GIB);
  });
});

describe("summarise()", () => {
  const scored = (error: number, source = "s"): ValidationRow => ({
    id: "i",
    source_key: source,
    tier: "core",
    status: "ok",
    predicted: { step_time_s: 1 + error },
    measured: { step_time_s: 1 },
  });
  it("gives mean, median, p90 of sizes and the signed mean", () => {
    const entry = summarise([scored(-0.1), scored(0.1), scored(0.3)]).find((e) => e.source_key === "s");
    expect(entry).toMatchObject({ n: 3, coverage: 1 });
    expect(entry?.mape).toBeCloseTo(0.5 / 3, 10);
    expect(entry?.median).toBeCloseTo(0.1, 10);
    expect(entry?.p90).toBeCloseTo(0.26, 10);
    expect(entry?.bias).toBeCloseTo(0.1, 10);
  });
  it("counts unsupported rows against coverage", () => {
    const lost: ValidationRow = {
      id: "u",
      source_key: "s",
      tier: "core",
      status: "unsupported",
      measured: { step_time_s: 1 },
    };
    expect(summarise([scored(0), lost]).find((e) => e.source_key === "*")?.coverage).toBe(0.5);
  });
});

describe("detectFile()", () => {
  it.each([
    ["x/kernels/gemm/h100_sxm_bf16.csv", "m,n,k,latency_us", { kind: "kernels", family: "gemm" }],
    ["anything.csv", "m,n,k,latency_us", { kind: "kernels", family: "gemm" }],
    ["anything.csv", "m,n,k,layout,accumulate,out_dtype,latency_us", { kind: "kernels", family: "gemm_train" }],
    ["anything.csv", "batch,kv_len,heads,latency_us", { kind: "kernels", family: "attention_mla_decode" }],
    ["anything.csv", "op,backend,gpus,nodes,dtype,bytes,latency_us", { kind: "network", family: "collectives" }],
    [
      "anything.csv",
      "mode,phase,gpus,nodes,tokens,hidden,topk,experts,sms,latency_us",
      { kind: "network", family: "moe_a2a" },
    ],
    ["anything.csv", "gpus,nodes,bytes,latency_us", { kind: "network", family: "p2p" }],
    ["rows.jsonl", '{"id":1}', { kind: "rows" }],
  ])("%s with %s", (name, header, expected) => {
    expect(detectFile(name, `${header}\n1,2,3`)).toEqual(expected);
  });
  it("reads tables with comments, other orders, further and quoted columns", () => {
    const table = '\uFEFF# measured by hand\nNote,K,latency_us,M,N\n"a, ""b""",8192,800,4096,8192\n';
    const report = validateText({ name: "gemm/h100_pcie_bf16.csv", text: table });
    expect(report.findings).toEqual([]);
    expect(report.rows).toMatchObject([{ status: "ok", measured: { latency_us: 800 } }]);
  });

  it("gives a reason for each row without a price, and prices the others", () => {
    const table = "m,n,k,latency_us\n0,8192,8192,800\n-4,8192,8192,800\n,8192,8192,800\n4096,8192,8192,800\n";
    const report = validateText({ name: "gemm/h100_pcie_bf16.csv", text: table });
    expect(report.rows.map((row) => row.status)).toEqual(["unsupported", "unsupported", "unsupported", "ok"]);
    expect(report.rows.slice(0, 3).every((row) => (row.reason ?? "").length > 5)).toBe(true);
  });

  it("names columns it does not know", () => {
    expect(detectFile("a.csv", "foo,bar\n1,2")).toMatchObject({
      kind: "unknown",
      reason: expect.stringContaining("foo,bar"),
    });
    expect(detectFile("a.csv", "")).toMatchObject({ kind: "unknown" });
  });
});
