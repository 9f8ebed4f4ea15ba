// Families beyond the catalogue, each against the parameter count of a published checkpoint.

import { describe, expect, it } from "vitest";
import { importHuggingFace } from "../importHuggingFace.ts";
import { parameterCounts } from "../parameterCounts.ts";

const body = (layers: number, h: number, ffn: number, heads: number, kv: number, vocab: number, more: object = {}) => ({
  num_hidden_layers: layers,
  hidden_size: h,
  intermediate_size: ffn,
  num_attention_heads: heads,
  num_key_value_heads: kv,
  vocab_size: vocab,
  max_position_embeddings: 4096,
  ...more,
});
const mambaExcept = (layers: number, attentionAt: readonly number[]) =>
  Array.from({ length: layers }, (_, i) => (attentionAt.includes(i) ? "attention" : "mamba"));

/** Name, config, parameters of the published checkpoint. */
const published: readonly (readonly [string, object, number])[] = [
  [
    "stablelm-2-1.6b",
    {
      model_type: "stablelm",
      ...body(24, 2048, 5632, 32, 32, 100352, { use_qkv_bias: true, tie_word_embeddings: false }),
    },
    1_644_515_328,
  ],
  [
    "olmo-7b",
    { model_type: "olmo", ...body(32, 4096, 11008, 32, 32, 50304, { tie_word_embeddings: false }) },
    6_888_095_744,
  ],
  [
    "olmo-1b",
    { model_type: "olmo", ...body(16, 2048, 8192, 16, 16, 50304, { tie_word_embeddings: true }) },
    1_176_764_416,
  ],
  [
    "olmoe",
    { model_type: "olmoe", ...body(16, 2048, 1024, 16, 16, 50304, { num_experts: 64, num_experts_per_tok: 8 }) },
    6_919_161_856,
  ],
  ["starcoder2-3b", { model_type: "starcoder2", ...body(30, 3072, 12288, 24, 2, 49152) }, 3_030_371_328],
  ["command-r", { model_type: "cohere", ...body(40, 8192, 22528, 64, 64, 256000) }, 34_980_831_232],
  ["phi-1.5", { model_type: "phi", ...body(24, 2048, 8192, 32, 32, 51200) }, 1_418_270_720],
  [
    "phi-3.5-moe",
    {
      model_type: "phimoe",
      ...body(32, 4096, 6400, 32, 8, 32064, {
        num_local_experts: 16,
        num_experts_per_tok: 2,
        attention_bias: true,
        lm_head_bias: true,
      }),
    },
    41_873_153_344,
  ],
  ["internlm2-7b", { model_type: "internlm2", ...body(32, 4096, 14336, 32, 8, 92544, { bias: false }) }, 7_737_708_544],
  ["gemma-3-1b", { model_type: "gemma3_text", ...body(26, 1152, 6912, 4, 1, 262144, { head_dim: 256 }) }, 999_885_952],
  [
    "glm-4-9b",
    { model_type: "glm", ...body(40, 4096, 13696, 32, 2, 151552, { attention_bias: true, head_dim: 128 }) },
    9_399_951_360,
  ],
  [
    "exaone-3.5-7.8b",
    {
      model_type: "exaone",
      num_layers: 32,
      hidden_size: 4096,
      intermediate_size: 14336,
      num_attention_heads: 32,
      num_key_value_heads: 8,
      vocab_size: 102400,
      tie_word_embeddings: false,
    },
    7_818_448_896,
  ],
  [
    "seed-oss",
    {
      model_type: "seed_oss",
      ...body(64, 5120, 27648, 80, 8, 155136, { head_dim: 128, attention_bias: true, attention_out_bias: false }),
    },
    36_151_104_512,
  ],
  [
    "qwen2-vl-7b",
    {
      model_type: "qwen2_vl",
      ...body(28, 3584, 18944, 28, 4, 152064),
      vision_config: {
        depth: 32,
        embed_dim: 1280,
        mlp_ratio: 4,
        num_heads: 16,
        in_chans: 3,
        hidden_size: 3584,
        patch_size: 14,
        spatial_merge_size: 2,
        temporal_patch_size: 2,
      },
    },
    8_291_375_616,
  ],
  [
    "qwen2.5-vl-7b",
    {
      model_type: "qwen2_5_vl",
      ...body(28, 3584, 18944, 28, 4, 152064),
      vision_config: { depth: 32, intermediate_size: 3420, hidden_size: 1280, out_hidden_size: 3584 },
    },
    8_292_166_656,
  ],
  [
    "qwen3-vl-8b",
    {
      model_type: "qwen3_vl",
      tie_word_embeddings: false,
      text_config: { ...body(36, 4096, 12288, 32, 8, 151936, { head_dim: 128 }) },
      vision_config: {
        deepstack_visual_indexes: [8, 16, 24],
        depth: 27,
        hidden_size: 1152,
        intermediate_size: 4304,
        num_position_embeddings: 2304,
        out_hidden_size: 4096,
        patch_size: 16,
      },
    },
    8_767_123_696,
  ],
  [
    "falcon-mamba-7b",
    {
      model_type: "falcon_mamba",
      num_hidden_layers: 64,
      hidden_size: 4096,
      intermediate_size: 8192,
      state_size: 16,
      time_step_rank: 256,
      vocab_size: 65024,
      tie_word_embeddings: false,
    },
    7_272_665_088,
  ],
  [
    "mistral-small-24b",
    { model_type: "mistral", ...body(40, 5120, 32768, 32, 8, 131072, { head_dim: 128, tie_word_embeddings: false }) },
    23_572_403_200,
  ],
  [
    "bart-large",
    {
      model_type: "bart",
      d_model: 1024,
      encoder_layers: 12,
      decoder_layers: 12,
      encoder_attention_heads: 16,
      decoder_attention_heads: 16,
      encoder_ffn_dim: 4096,
      decoder_ffn_dim: 4096,
      max_position_embeddings: 1024,
      vocab_size: 50265,
    },
    406_291_456,
  ],
  [
    "mbart-50",
    {
      model_type: "mbart",
      d_model: 1024,
      encoder_layers: 12,
      decoder_layers: 12,
      encoder_attention_heads: 16,
      decoder_attention_heads: 16,
      encoder_ffn_dim: 4096,
      decoder_ffn_dim: 4096,
      max_position_embeddings: 1024,
      vocab_size: 250054,
    },
    610_879_488,
  ],
  [
    "t5-small",
    { model_type: "t5", d_model: 512, d_kv: 64, d_ff: 2048, num_layers: 6, num_heads: 8, vocab_size: 32128 },
    60_506_624,
  ],
  [
    "t5-base",
    { model_type: "t5", d_model: 768, d_kv: 64, d_ff: 3072, num_layers: 12, num_heads: 12, vocab_size: 32128 },
    222_903_552,
  ],
  [
    "mt5-small",
    {
      model_type: "mt5",
      d_model: 512,
      d_kv: 64,
      d_ff: 1024,
      num_layers: 8,
      num_heads: 6,
      vocab_size: 250112,
      feed_forward_proj: "gated-gelu",
      tie_word_embeddings: false,
    },
    300_176_768,
  ],
  [
    "roberta-base",
    {
      model_type: "roberta",
      architectures: ["RobertaForMaskedLM"],
      ...body(12, 768, 3072, 12, 12, 50265),
      max_position_embeddings: 514,
      type_vocab_size: 1,
    },
    124_697_433,
  ],
  [
    "distilbert",
    {
      model_type: "distilbert",
      architectures: ["DistilBertForMaskedLM"],
      dim: 768,
      n_layers: 6,
      n_heads: 12,
      hidden_dim: 3072,
      vocab_size: 30522,
      max_position_embeddings: 512,
    },
    66_985_530,
  ],
  [
    "gpt-neo-1.3b",
    {
      model_type: "gpt_neo",
      num_layers: 24,
      hidden_size: 2048,
      num_heads: 16,
      max_position_embeddings: 2048,
      vocab_size: 50257,
      attention_types: [[["global", "local"], 12]],
    },
    1_315_575_808,
  ],
  ["minicpm-2b", { model_type: "minicpm", ...body(40, 2304, 5760, 36, 36, 122753) }, 2_724_880_896],
  [
    "smollm2-1.7b",
    { model_type: "llama", ...body(24, 2048, 8192, 32, 32, 49152, { tie_word_embeddings: true }) },
    1_711_376_384,
  ],
  [
    "phi-4",
    { model_type: "phi3", ...body(40, 5120, 17920, 40, 10, 100352, { tie_word_embeddings: false }) },
    14_659_507_200,
  ],
  [
    "hunyuan-a13b",
    {
      model_type: "hunyuan_v1_moe",
      ...body(32, 4096, 3072, 32, 8, 128167, {
        head_dim: 128,
        num_experts: 64,
        moe_topk: Array(32).fill(8),
        num_shared_expert: Array(32).fill(1),
        moe_intermediate_size: Array(32).fill(3072),
        tie_word_embeddings: true,
      }),
    },
    80_393_183_232,
  ],
  [
    "glm-4.5-air",
    {
      model_type: "glm4_moe",
      ...body(46, 4096, 10944, 96, 8, 151552, {
        head_dim: 128,
        attention_bias: true,
        n_routed_experts: 128,
        n_shared_experts: 1,
        num_experts_per_tok: 8,
        moe_intermediate_size: 1408,
        first_k_dense_replace: 1,
        use_qk_norm: false,
        tie_word_embeddings: false,
      }),
    },
    106_852_245_504,
  ],
  ["gpt-neox-20b", { model_type: "gpt_neox", ...body(44, 6144, 24576, 64, 64, 50432) }, 20_554_567_680],
  ["codegen-350m", { model_type: "codegen", n_layer: 20, n_embd: 1024, n_head: 16, vocab_size: 51200 }, 356_712_448],
  ["olmo2-13b", { model_type: "olmo2", ...body(40, 5120, 13824, 40, 40, 100352) }, 13_716_198_400],
  [
    "opt-350m",
    {
      model_type: "opt",
      num_hidden_layers: 24,
      hidden_size: 1024,
      ffn_dim: 4096,
      num_attention_heads: 16,
      max_position_embeddings: 2048,
      vocab_size: 50272,
      word_embed_proj_dim: 512,
      do_layer_norm_before: false,
    },
    331_196_416,
  ],
  [
    "mistral-small-3.1",
    {
      model_type: "mistral3",
      text_config: body(40, 5120, 32768, 32, 8, 131072, { head_dim: 128, tie_word_embeddings: false }),
      vision_config: { hidden_size: 1024, intermediate_size: 4096, num_hidden_layers: 24, patch_size: 14 },
    },
    24_011_361_280,
  ],
  ["modernbert-base", { model_type: "modernbert", ...body(22, 768, 1152, 12, 12, 50368) }, 149_655_232],
  [
    "whisper-large-v3",
    {
      model_type: "whisper",
      d_model: 1280,
      encoder_layers: 32,
      decoder_layers: 32,
      encoder_attention_heads: 20,
      decoder_attention_heads: 20,
      encoder_ffn_dim: 5120,
      decoder_ffn_dim: 5120,
      vocab_size: 51866,
      num_mel_bins: 128,
    },
    1_543_490_560,
  ],
  [
    "whisper-tiny",
    {
      model_type: "whisper",
      d_model: 384,
      encoder_layers: 4,
      decoder_layers: 4,
      encoder_attention_heads: 6,
      decoder_attention_heads: 6,
      encoder_ffn_dim: 1536,
      decoder_ffn_dim: 1536,
      vocab_size: 51865,
      num_mel_bins: 80,
    },
    37_760_640,
  ],
  [
    "granite-4-h-tiny",
    {
      model_type: "granitemoehybrid",
      ...body(40, 1536, 512, 12, 4, 100352),
      layer_types: mambaExcept(40, [5, 15, 25, 35]),
      mamba_n_heads: 48,
      mamba_d_head: 64,
      mamba_d_state: 128,
      mamba_n_groups: 1,
      num_local_experts: 64,
      num_experts_per_tok: 6,
      shared_intermediate_size: 1024,
    },
    6_939_037_248,
  ],
];

describe("importers", () => {
  it.each(published)("%s has the parameters of its checkpoint", (name, config, total) => {
    expect(parameterCounts(importHuggingFace(config, { name })).total).toBe(total);
  });
});
