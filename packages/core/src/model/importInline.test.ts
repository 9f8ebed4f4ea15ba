import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { namedModel } from "./catalogue.ts";
import { importInline } from "./importInline.ts";
import { parameterCounts } from "./parameterCounts.ts";

const mpt = {
  name: "MPT-13b",
  layers: 40,
  hidden: 5120,
  heads: 40,
  kv_heads: 40,
  head_dim: 128,
  ffn: 20_480,
  ffn_gated: false,
  vocab: 50_368,
  tied: true,
  pos: "learned",
};
const deepseek = {
  name: "DeepSeek-V3-671B",
  layers: 61,
  hidden: 7168,
  heads: 128,
  kv_heads: 128,
  head_dim: 192,
  ffn: 18_432,
  ffn_gated: true,
  vocab: 129_280,
  tied: false,
  mla: { q_lora: 1536, kv_lora: 512, qk_nope: 128, qk_rope: 64, v_dim: 128 },
  experts: 256,
  topk: 8,
  moe_ffn: 2048,
  shared_experts: 1,
  shared_ffn: 2048,
  dense_layers: 3,
  mtp_layers: 1,
};

function countsOf(description: unknown, seqLen?: number) {
  return parameterCounts(importInline(description, seqLen === undefined ? {} : { seqLen }));
}

describe("importInline()", () => {
  it.each([
    [512, 12_846_090_240],
    [2048, 12_853_954_560],
    [32_768, 13_011_240_960],
  ])("gives a learned position table the run's %i rows", (seqLen, total) => {
    expect(countsOf(mpt, seqLen).total).toBe(total);
  });

  it("describes DeepSeek-V3 as its config does, prediction module apart", () => {
    const counts = countsOf(deepseek);
    expect(counts.total).toBe(parameterCounts(namedModel("deepseek-v3")).total);
    expect(counts.active).toBe(parameterCounts(namedModel("deepseek-v3")).active);
    expect(counts.mtp).toBeGreaterThan(1.1e10);
  });

  it("describes a hybrid by its pattern", () => {
    const counts = countsOf({
      name: "Nemotron-3-Nano-30B-A3B",
      family: "mamba-moe-hybrid",
      layers: 52,
      hybrid_pattern: "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
      hidden: 2688,
      heads: 32,
      kv_heads: 2,
      head_dim: 128,
      ffn: 1856,
      ffn_gated: false,
      vocab: 131_072,
      tied: false,
      experts: 128,
      topk: 6,
      moe_ffn: 1856,
      shared_experts: 1,
      shared_ffn: 3712,
      mamba_heads: 64,
      mamba_head_dim: 64,
      mamba_state: 128,
    });
    const config = parameterCounts(namedModel("nemotron-3-nano-30b-a3b"));
    expect(counts).toEqual(config);
  });

  it("refuses a pattern of another length or with unknown letters", () => {
    const hybrid = {
      layers: 3,
      hidden: 64,
      heads: 4,
      ffn: 128,
      ffn_gated: false,
      vocab: 100,
      mamba_heads: 4,
      mamba_head_dim: 16,
      mamba_state: 8,
    };
    expect(() => importInline({ ...hybrid, hybrid_pattern: "M*" })).toThrow(/describes 2 layers, the model has 3/);
    expect(() => importInline({ ...hybrid, hybrid_pattern: "M*X" })).toThrow(/unknown letter "X"/);
  });

  it("alternates when half of the layers are dense, else puts the dense ones first", () => {
    const maverick = {
      layers: 48,
      hidden: 64,
      heads: 4,
      ffn: 256,
      vocab: 100,
      experts: 8,
      topk: 1,
      moe_ffn: 128,
      dense_layers: 24,
    };
    expect(importInline(maverick).layers.slice(0, 4)).toEqual([0, 1, 0, 1]);
    expect(importInline({ ...maverick, dense_layers: 3 }).layers.slice(0, 5)).toEqual([0, 0, 0, 1, 1]);
  });

  it("spreads sliding windows evenly", () => {
    const model = importInline({
      layers: 6,
      hidden: 64,
      heads: 4,
      ffn: 64,
      vocab: 100,
      sliding_window: 16,
      sliding_window_layers: 3,
    });
    const windows = model.layers.map((kind) => {
      const mixer = model.layerKinds[kind]?.mixer;
      return mixer?.kind === "attention" ? mixer.window : undefined;
    });
    expect(windows).toEqual([16, 0, 16, 0, 16, 0]);
  });

  it("takes GPT-2's padded vocabulary when none is known, with a note", () => {
    const model = importInline({
      layers: 12,
      hidden: 512,
      heads: 8,
      ffn: 2048,
      ffn_gated: false,
      vocab: null,
      tied: true,
    });
    expect(model.vocab).toBe(50_304);
    expect(model.notes.join()).toContain("vocab not stated");
  });

  it("accepts mla: true with Megatron-LM's defaults", () => {
    const model = importInline({ layers: 4, hidden: 512, heads: 8, ffn: 2048, vocab: 100, mla: true });
    expect(model.layerKinds[0]?.mixer).toMatchObject({ kind: "mla", heads: 8, kvLoraRank: 32 });
  });

  it("puts biases and positions where the body has them", () => {
    const gated = { layers: 2, hidden: 64, heads: 4, kv_heads: 2, ffn: 128, ffn_gated: true, vocab: 1000, tied: false };
    expect(countsOf(gated).total).toBe(2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 2 * 64) + 64 + 2 * 64_000);
    const relu2 = { ...gated, ffn_gated: false, squared_relu: true };
    expect(countsOf(relu2).total).toBe(2 * (2 * 64 * 64 + 2 * 64 * 32 + 2 * 64 * 128 + 4 * 64) + 2 * 64 + 2 * 64_000);
    expect(importInline(relu2).layerKinds[0]?.ffn).toMatchObject({ activation: "relu2", bias: false });
    expect(importInline({ ...gated, pos: "alibi", ffn_gated: false }).embeddingNorm).toBe(true);
  });

  it("refuses missing, wrong and misspelled fields, all at once", () => {
    let findings: InputError["findings"] = [];
    try {
      importInline({ layers: null, hidden: -1, heads: 8, fnn: 128, ffn: 128, pos: "sideways" });
    } catch (error) {
      if (error instanceof InputError) findings = error.findings;
    }
    expect(findings.map((finding) => finding.path).sort()).toEqual([
      "model.fnn",
      "model.hidden",
      "model.layers",
      "model.pos",
    ]);
  });

  it("loads descriptions with fields it does not know, and notes them", () => {
    const model = importInline({
      layers: 2,
      hidden: 64,
      heads: 4,
      ffn: 128,
      vocab: 100,
      router_score_function: "sigmoid",
    });
    expect(model.notes).toContain('field "router_score_function" is not used');
  });
});
