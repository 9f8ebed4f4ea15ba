// GPT-2 and its descendants: LayerNorm with bias, two-matrix feed-forward parts, learned, rotary or ALiBi positions.
// They differ in which matrices carry a bias and in whether attention and feed-forward part run in parallel.
// Sources: the published modelling code of each family (Hugging Face Transformers documentation).

import type { ConfigReader } from "../configReader.ts";
import { type Dims, decoder, denseFfn, ffnKeys, type Importer, layerNormed } from "./decoder.ts";

const allBiased = { qkvBias: true, outBias: true } as const;

/** Two matrices of 4 x hidden unless the config says otherwise. */
function fourfold(reader: ConfigReader, dims: Dims, bias: boolean) {
  return denseFfn(reader, { gated: false, bias, inner: reader.count(ffnKeys, 4 * dims.hidden) });
}

/** GPT-J and CodeGen: attention and feed-forward part side by side behind one norm, rotary positions on part of a head. */
const parallelRotary = decoder({
  tied: false,
  attention: (r, d) => ({
    qkvBias: false,
    outBias: false,
    ropeFrac: Math.min(1, r.size("rotary_dim", 64) / d.headDim),
  }),
  ffn: (r, d) => fourfold(r, d, true),
  layer: () => ({ ...layerNormed, normsPerBranch: 0.5, parallelResidual: true }),
  model: () => ({ lmHeadBias: true }),
});

export const gptFamilies: Readonly<Record<string, Importer>> = {
  gpt2: decoder({
    tied: true,
    attention: () => ({ ...allBiased, rope: false }),
    ffn: (r, d) => fourfold(r, d, true),
    layer: () => layerNormed,
    model: (_r, d) => ({ position: "learned", learnedPositions: d.maxSeqLen }),
  }),
  gpt_bigcode: decoder({
    tied: true,
    dims: (r) => (r.flag("multi_query", true) ? { kvHeads: 1 } : {}),
    attention: () => ({ ...allBiased, rope: false }),
    ffn: (r, d) => fourfold(r, d, true),
    layer: () => layerNormed,
    model: (_r, d) => ({ position: "learned", learnedPositions: d.maxSeqLen }),
  }),
  // q, k, v without bias, the output projection with; layers alternate global and local attention.
  gpt_neo: decoder({
    tied: true,
    attention: () => ({ qkvBias: false, outBias: true, rope: false }),
    window: (r, d) => {
      const pattern = (r.list("attention_types") ?? []).flatMap(expandAttentionTypes);
      const window = r.size("window_size", 256);
      return (i) => (pattern[i % Math.max(1, Math.min(pattern.length, d.numLayers))] === "local" ? window : 0);
    },
    ffn: (r, d) => fourfold(r, d, true),
    layer: () => layerNormed,
    model: (_r, d) => ({ position: "learned", learnedPositions: d.maxSeqLen }),
  }),
  gptj: parallelRotary,
  codegen: parallelRotary,
  gpt_neox: decoder({
    tied: false,
    attention: (r) => {
      const bias = r.flag("attention_bias", true);
      return { qkvBias: bias, outBias: bias, ropeFrac: r.positive(["rotary_pct", "partial_rotary_factor"], 0.25) };
    },
    ffn: (r) => denseFfn(r, { gated: false, bias: true }),
    layer: (r) => ({ ...layerNormed, parallelResidual: r.flag("use_parallel_residual", true) }),
  }),
  phi: decoder({
    tied: false,
    attention: (r, d) => ({
      ...allBiased,
      ropeFrac: r.positive("partial_rotary_factor", 0.5),
      extraParams: r.flag("qk_layernorm", false) ? 4 * d.headDim : 0,
    }),
    ffn: (r) => denseFfn(r, { gated: false, bias: true }),
    layer: () => ({ ...layerNormed, normsPerBranch: 0.5, parallelResidual: true }),
    model: () => ({ lmHeadBias: true }),
  }),
  opt: decoder({
    tied: true,
    attention: (r) => ({ qkvBias: r.flag("enable_bias", true), outBias: r.flag("enable_bias", true), rope: false }),
    ffn: (r) => denseFfn(r, { gated: false, bias: r.flag("enable_bias", true), activation: "relu" }),
    layer: (r) => ({ ...layerNormed, normAffine: r.flag("layer_norm_elementwise_affine", true) }),
    model: (r, d) => {
      const preNorm = r.flag("do_layer_norm_before", true) && !r.flag("_remove_final_layer_norm", false);
      const affine = r.flag("layer_norm_elementwise_affine", true);
      const embeddingDim = r.count("word_embed_proj_dim", d.hidden);
      const projected = embeddingDim !== d.hidden;
      return {
        position: "learned",
        // OPT's table starts two rows in.
        learnedPositions: d.maxSeqLen + 2,
        finalNorm: preNorm && affine ? "layernorm" : "none",
        ...(projected
          ? {
              embeddingDim,
              extraParams: 2 * embeddingDim * d.hidden,
              extraNote: "projections between embedding and hidden width",
            }
          : {}),
      };
    },
  }),
  bloom: decoder({
    tied: true,
    attention: () => ({ ...allBiased, rope: false }),
    ffn: (r, d) => fourfold(r, d, true),
    layer: () => layerNormed,
    model: () => ({ position: "alibi", embeddingNorm: true }),
  }),
  // Falcon-40B/180B: grouped queries and two parallel norms; Falcon-7B: one kv head and one norm; Falcon-RW: sequential.
  falcon: decoder({
    tied: true,
    dims: (r) => {
      if (r.flag("new_decoder_architecture", false)) return {};
      return r.flag("multi_query", true) ? { kvHeads: 1 } : { kvHeads: r.count(["num_attention_heads", "n_head"]) };
    },
    attention: (r) => ({
      qkvBias: r.flag("bias", false),
      outBias: r.flag("bias", false),
      rope: !r.flag("alibi", false),
    }),
    ffn: (r, d) => fourfold(r, d, r.flag("bias", false)),
    layer: (r) => {
      const newArchitecture = r.flag("new_decoder_architecture", false);
      const parallel = newArchitecture || r.flag("parallel_attn", true);
      const twoNorms = newArchitecture ? r.count("num_ln_in_parallel_attn", 2) === 2 : !parallel;
      return { ...layerNormed, normsPerBranch: twoNorms ? 1 : 0.5, parallelResidual: parallel };
    },
    model: (r) => ({ position: r.flag("alibi", false) ? "alibi" : "rope" }),
  }),
  // MPT in its published form has no biases at all, norms included, and ALiBi unless told otherwise.
  mpt: decoder({
    tied: true,
    attention: (r, d) => {
      const attention = r.child("attn_config");
      const kvHeads = attention?.count("kv_n_heads", d.kvHeads) ?? d.kvHeads;
      return { kvHeads: attention?.text("attn_type", "") === "multiquery_attention" ? 1 : kvHeads, rope: false };
    },
    ffn: (r, d) => denseFfn(r, { gated: false, bias: false, inner: r.count("expansion_ratio", 4) * d.hidden }),
    layer: () => ({ norm: "layernorm", normBias: false }),
    model: () => ({ position: "alibi" }),
  }),
  starcoder2: decoder({
    tied: true,
    kvHeads: 2,
    attention: (r) => ({ qkvBias: r.flag("use_bias", true), outBias: r.flag("use_bias", true) }),
    window: (r) => {
      const window = r.optionalSize("sliding_window") ?? 0;
      return () => window;
    },
    ffn: (r) => denseFfn(r, { gated: false, bias: r.flag("use_bias", true) }),
    layer: () => layerNormed,
  }),
  // Squared ReLU, LayerNorm1p with bias, no other biases (arXiv 2402.16819).
  nemotron: decoder({
    tied: false,
    ffn: (r) => denseFfn(r, { gated: false, activation: "relu2" }),
    layer: () => layerNormed,
  }),
  persimmon: decoder({
    tied: false,
    attention: (r, d) => ({
      ...allBiased,
      ropeFrac: r.positive("partial_rotary_factor", 0.5),
      extraParams: r.flag("qk_layernorm", true) ? 4 * d.headDim : 0,
    }),
    ffn: (r) => denseFfn(r, { gated: false, bias: true, activation: "relu2" }),
    layer: () => layerNormed,
  }),
  stablelm: decoder({
    tied: false,
    attention: (r) => ({
      qkvBias: r.flag("use_qkv_bias", false),
      outBias: false,
      qkNorm: r.flag("qk_layernorm", false) ? "full" : "none",
      ropeFrac: r.positive("partial_rotary_factor", 0.25),
    }),
    layer: (r) => {
      const parallel = r.flag("use_parallel_residual", false);
      return { ...layerNormed, parallelResidual: parallel, normsPerBranch: parallel ? 0.5 : 1 };
    },
  }),
  // One LayerNorm without bias feeds attention and feed-forward part; q and k norms have a weight per head.
  cohere: decoder({
    tied: true,
    attention: (r) => ({ qkNorm: r.flag("use_qk_norm", false) ? "full" : "none" }),
    layer: () => ({ norm: "layernorm", normBias: false, normsPerBranch: 0.5, parallelResidual: true }),
  }),
  cohere2: decoder({
    tied: true,
    layer: () => ({ norm: "layernorm", normBias: false, normsPerBranch: 0.5, parallelResidual: true }),
    window: (r, d) => {
      const window = r.optionalSize("sliding_window") ?? 4096;
      const types = r.list("layer_types", d.numLayers);
      const pattern = r.count(["sliding_window_pattern", "layer_switch"], 4);
      return (i) => ((types === null ? (i + 1) % pattern !== 0 : types[i] === "sliding_attention") ? window : 0);
    },
  }),
};

/** `[["global", "local"], 12]` is twelve times the pair. */
function expandAttentionTypes(entry: unknown): readonly string[] {
  if (!Array.isArray(entry) || !Array.isArray(entry[0]) || typeof entry[1] !== "number") return [];
  const pair = entry[0].map(String);
  return Array.from({ length: Math.min(1024, Math.max(0, entry[1])) }, () => pair).flat();
}
