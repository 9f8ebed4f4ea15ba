import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InputError } from "../units/errors.ts";
import { importableTypes, importHuggingFace } from "./importHuggingFace.ts";
import { parameterCounts } from "./parameterCounts.ts";
import { parseConfigText } from "./parseConfigText.ts";

const llama = {
  model_type: "llama",
  hidden_size: 4096,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  intermediate_size: 14_336,
  vocab_size: 128_256,
};
const mixtral = { ...llama, model_type: "mixtral", num_local_experts: 8, num_experts_per_tok: 2 };
const gpt2 = { model_type: "gpt2", n_embd: 1600, n_layer: 48, n_head: 25, n_positions: 1024, vocab_size: 50_257 };
const deepseek = {
  ...llama,
  model_type: "deepseek_v3",
  q_lora_rank: 1536,
  kv_lora_rank: 512,
  qk_nope_head_dim: 128,
  qk_rope_head_dim: 64,
  v_head_dim: 128,
  n_routed_experts: 64,
  n_shared_experts: 1,
  num_experts_per_tok: 4,
  moe_intermediate_size: 1024,
  first_k_dense_replace: 1,
};

function findingsOf(config: unknown) {
  try {
    importHuggingFace(config);
  } catch (error) {
    if (error instanceof InputError) return error.findings;
    throw error;
  }
  throw new Error("nothing was refused");
}

function without(config: object, key: string): object {
  return Object.fromEntries(Object.entries(config).filter(([name]) => name !== key));
}

describe("importHuggingFace()", () => {
  it("counts random llama-like configs in closed form", () => {
    const dims = fc.record({
      layers: fc.integer({ min: 1, max: 12 }),
      kvHeads: fc.integer({ min: 1, max: 8 }),
      group: fc.integer({ min: 1, max: 8 }),
      headDim: fc.integer({ min: 1, max: 16 }),
      ffn: fc.integer({ min: 1, max: 500 }),
      vocab: fc.integer({ min: 1, max: 5000 }),
      tied: fc.boolean(),
      attentionBias: fc.boolean(),
      mlpBias: fc.boolean(),
    });
    fc.assert(
      fc.property(dims, (d) => {
        const heads = d.kvHeads * d.group;
        const hidden = heads * d.headDim;
        const model = importHuggingFace({
          model_type: "llama",
          hidden_size: hidden,
          num_hidden_layers: d.layers,
          num_attention_heads: heads,
          num_key_value_heads: d.kvHeads,
          intermediate_size: d.ffn,
          vocab_size: d.vocab,
          tie_word_embeddings: d.tied,
          attention_bias: d.attentionBias,
          mlp_bias: d.mlpBias,
        });
        const kvDim = d.kvHeads * d.headDim;
        const biases = (d.attentionBias ? 2 * hidden + 2 * kvDim : 0) + (d.mlpBias ? 2 * d.ffn + hidden : 0);
        const layer = 2 * hidden * hidden + 2 * hidden * kvDim + 3 * hidden * d.ffn + 2 * hidden + biases;
        const total = d.layers * layer + hidden + d.vocab * hidden * (d.tied ? 1 : 2);
        expect(parameterCounts(model)).toEqual({ total, active: total, embedding: d.vocab * hidden });
        expect(model.layerKinds).toHaveLength(1);
      }),
    );
  });

  it.each([
    ["hidden_size", llama],
    ["num_hidden_layers", llama],
    ["num_attention_heads", llama],
    ["intermediate_size", llama],
    ["vocab_size", llama],
    ["num_local_experts", mixtral],
    ["num_experts_per_tok", mixtral],
    ["n_embd", gpt2],
    ["n_layer", gpt2],
    ["n_head", gpt2],
    ["vocab_size", gpt2],
    ["kv_lora_rank", deepseek],
    ["qk_nope_head_dim", deepseek],
    ["qk_rope_head_dim", deepseek],
    ["n_routed_experts", deepseek],
    ["moe_intermediate_size", deepseek],
  ])("refuses a config without %s by name", (key, config) => {
    const findings = findingsOf(without(config, key));
    expect(findings.map((finding) => finding.message).join("\n")).toContain(key);
  });

  it("reports all findings at once, and a misspelled key as the likely place of a missing one", () => {
    const findings = findingsOf({ ...without(without(llama, "hidden_size"), "vocab_size"), hiden_size: 4096 });
    expect(findings.map((finding) => finding.path)).toEqual(["hidden_size", "vocab_size"]);
    expect(findings[0]?.hint).toContain('"hiden_size"');
  });

  it.each([
    ["a negative number", { hidden_size: -4096 }, "hidden_size"],
    ["NaN", { intermediate_size: Number.NaN }, "intermediate_size"],
    ["a fraction", { num_hidden_layers: 31.5 }, "num_hidden_layers"],
    ["zero", { vocab_size: 0 }, "vocab_size"],
    ["infinity", { vocab_size: Number.POSITIVE_INFINITY }, "vocab_size"],
    ["text", { num_attention_heads: "32" }, "num_attention_heads"],
    ["a flag that is none", { tie_word_embeddings: "yes" }, "tie_word_embeddings"],
    ["heads that do not divide the width", { num_attention_heads: 24, num_key_value_heads: 8 }, "num_attention_heads"],
    ["kv heads that do not divide the heads", { num_key_value_heads: 5 }, "num_key_value_heads"],
  ])("refuses %s", (_what, change, path) => {
    expect(findingsOf({ ...llama, ...change }).map((finding) => finding.path)).toContain(path);
  });

  it("refuses more experts per token than there are", () => {
    expect(findingsOf({ ...mixtral, num_experts_per_tok: 9 })[0]?.message).toContain("9 of 8");
  });

  it("names an unknown architecture and the nearest known one", () => {
    const [finding] = findingsOf({ ...llama, model_type: "mixtrall" });
    expect(finding?.message).toBe('Unknown architecture "mixtrall"');
    expect(finding?.hint).toBe('did you mean "mixtral"');
  });

  it("refuses what is no config at all", () => {
    for (const nothing of [null, 7, "llama", [llama]]) expect(() => importHuggingFace(nothing)).toThrow(InputError);
    expect(() => importHuggingFace({})).toThrow(/model_type/);
  });

  it("finds the architecture by the class name when the type is missing", () => {
    expect(importHuggingFace({ ...without(llama, "model_type"), architectures: ["LlamaForCausalLM"] }).family).toBe(
      "llama",
    );
  });

  it("notes class defaults it used", () => {
    const model = importHuggingFace({ ...without(llama, "num_key_value_heads"), model_type: "mistral" });
    expect(model.notes).toContain("num_key_value_heads not stated: 8 (class default)");
  });

  it("answers every registered type with a model or findings, never a crash", () => {
    for (const model_type of importableTypes()) {
      const findings = findingsOf({ model_type });
      expect(findings.length, model_type).toBeGreaterThan(0);
    }
  });
});

describe("parseConfigText()", () => {
  it("reads Python's NaN and Infinity outside of strings as null", () => {
    expect(parseConfigText('{"a": [0.0, Infinity], "b": NaN, "c": "NaN, -Infinity \\" NaN"}')).toEqual({
      a: [0, null],
      b: null,
      c: 'NaN, -Infinity " NaN',
    });
  });

  it("refuses broken JSON", () => {
    expect(() => parseConfigText('{"a": 1,}')).toThrow(InputError);
  });
});
