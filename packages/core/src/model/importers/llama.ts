// LLaMA and the families that differ from it in a bias, a norm or a window.
// Sources: each family's published configuration defaults (Hugging Face Transformers documentation).

import { decoder, denseFfn, everyLayerWindow, type Importer, layerTypesWindow } from "./decoder.ts";
import { multimodal } from "./multimodal.ts";
import { pixtralParameters } from "./vision.ts";

export const llamaFamilies: Readonly<Record<string, Importer>> = {
  llama: decoder({ tied: false }),
  mistral: decoder({ tied: false, kvHeads: 8, window: everyLayerWindow }),
  ministral: decoder({ tied: false, kvHeads: 8, window: everyLayerWindow }),
  mistral3: multimodal(decoder({ tied: false, kvHeads: 8, window: everyLayerWindow }), pixtralParameters),
  yi: decoder({ tied: false }),
  xverse: decoder({ tied: false }),
  aquila: decoder({ tied: false }),
  baichuan: decoder({ tied: false }),
  granite: decoder({ tied: false }),
  arcee: decoder({ tied: false, ffn: (r) => denseFfn(r, { gated: false }) }),
  seed_oss: decoder({
    tied: false,
    headDim: 128,
    attention: (r) => ({ qkvBias: r.flag("attention_bias", true), outBias: r.flag("attention_out_bias", false) }),
  }),
  helium: decoder({ tied: false, headDim: 128 }),
  minicpm: decoder({ tied: true }),
  exaone: decoder({ tied: false }),
  // SmolLM3 drops rope in every fourth layer (`no_rope_layers`); rope has no parameters.
  smollm3: decoder({
    tied: true,
    kvHeads: 4,
    window: (r, d) => (r.flag("use_sliding_window", false) ? everyLayerWindow(r, d) : () => 0),
    mixer: (r, d, attention) => {
      const ropeOf = r.list("no_rope_layers", d.numLayers);
      return (i) => ({
        ...attention(i),
        rope: ropeOf === null ? (i + 1) % r.count("no_rope_layer_interval", 4) !== 0 : ropeOf[i] === 1,
      });
    },
  }),
  // InternLM-1 writes `bias` for q, k, v and o together.
  internlm: decoder({ tied: false, attention: (r) => biases(r.flag("bias", true)) }),
  internlm2: decoder({ tied: false, attention: (r) => biases(r.flag("bias", false)) }),
  internlm3: decoder({
    tied: false,
    attention: (r) => ({ qkvBias: r.flag("qkv_bias", false), outBias: r.flag("bias", false) }),
    ffn: (r) => denseFfn(r, { bias: r.flag("bias", false) }),
  }),
  mimo: decoder({ tied: false, attention: (r) => ({ qkvBias: r.flag("attention_bias", true), outBias: false }) }),
  ernie4_5: decoder({
    tied: true,
    headDim: 128,
    attention: (r) => biases(r.flag("use_bias", false)),
    ffn: (r) => denseFfn(r, { bias: r.flag("use_bias", false) }),
  }),
  // Per-head norms on q and k, norms after the branches instead of before: as many parameters.
  exaone4: decoder({ tied: false, attention: () => ({ qkNorm: "perHead" }), window: layerTypesWindow }),
  // OLMo-1's LayerNorm has no trainable weights (arXiv 2402.00838, section 2.1).
  olmo: decoder({
    tied: false,
    layer: () => ({ norm: "layernorm", normAffine: false }),
    model: () => ({ finalNorm: "none" }),
  }),
  olmo2: decoder({ tied: false, attention: () => ({ qkNorm: "full" }) }),
  olmo3: decoder({ tied: false, attention: () => ({ qkNorm: "full" }) }),
  apertus: decoder({
    tied: false,
    attention: () => ({ qkNorm: "perHead" }),
    // xIELU carries two trainable scalars in each layer.
    ffn: (r) => denseFfn(r, { gated: false }),
    layer: () => ({ extraParams: 2 }),
  }),
  // Orion keeps LLaMA's matrices and puts LayerNorms with bias around them.
  orion: decoder({ tied: false, layer: () => ({ norm: "layernorm", normBias: true }) }),
  // GLM-4: biases on q, k and v; the 0414 models add norms after the branches.
  glm: decoder({
    tied: false,
    headDim: 128,
    attention: (r) => ({ outBias: false, ropeFrac: r.positive("partial_rotary_factor", 0.5) }),
  }),
  glm4: decoder({
    tied: false,
    headDim: 128,
    attention: (r) => ({ outBias: false, ropeFrac: r.positive("partial_rotary_factor", 0.5) }),
    layer: () => ({ normsPerBranch: 2 }),
  }),
  chatglm: decoder({
    tied: false,
    dims: (r) => ({
      vocab: r.count(["padded_vocab_size", "vocab_size"]),
      ...(r.flag("multi_query_attention", false) ? {} : { kvHeads: r.count("num_attention_heads") }),
    }),
    attention: (r) => ({
      qkvBias: r.flag("add_qkv_bias", false) || r.flag("add_bias_linear", true),
      outBias: r.flag("add_bias_linear", true),
      ropeFrac: 0.5,
    }),
    ffn: (r) => denseFfn(r, { bias: r.flag("add_bias_linear", true) }),
    layer: (r) => (r.flag("rmsnorm", true) ? {} : { norm: "layernorm", normBias: true }),
    model: (r) => (r.flag("post_layer_norm", true) ? {} : { finalNorm: "none" }),
  }),
  // ModernBERT: bidirectional, LayerNorms without bias, no norm before the first attention, a dense prediction head
  // (arXiv 2412.13663); every third layer attends to everything.
  modernbert: decoder({
    tied: true,
    attention: () => ({ causal: false }),
    window: (r) => {
      const window = r.size("local_attention", 128);
      const interval = r.count("global_attn_every_n_layers", 3);
      return (i) => (i % interval === 0 ? 0 : window);
    },
    ffn: (r) => denseFfn(r, { bias: r.flag("mlp_bias", false), activation: "gelu" }),
    layer: () => (i) => ({ norm: "layernorm", normBias: false, normsPerBranch: i === 0 ? 0.5 : 1 }),
    model: (r, d) => ({
      embeddingNorm: true,
      finalNorm: "layernorm",
      lmHeadBias: r.flag("decoder_bias", true),
      extraParams: d.hidden * d.hidden + d.hidden,
      extraNote: "dense layer and norm of the prediction head",
    }),
  }),
  phi3: decoder({ tied: false, window: everyLayerWindow }),
};

function biases(present: boolean): { qkvBias: boolean; outBias: boolean } {
  return { qkvBias: present, outBias: present };
}
