// Mixtures of experts on a LLaMA-like body. What sets a family apart is its router, its shared experts and which layers
// stay dense. Sources: each family's published modelling code and paper where one exists.

import type { ConfigReader } from "../configReader.ts";
import type { AttentionSpec, FfnSpec } from "../types.ts";
import {
  type ByLayer,
  type DecoderTraits,
  type Dims,
  decoder,
  denseFfn,
  everyLayerWindow,
  type Importer,
  layerTypesWindow,
} from "./decoder.ts";
import { mtpNote } from "./deepseek.ts";
import { deepseekMoe, denseFirst, moeFfn, pickFfn } from "./moe.ts";
import { multimodal } from "./multimodal.ts";
import { clipVisionParameters, linear, llama4VisionParameters, step37VisionParameters } from "./vision.ts";

/** Every layer is the same mixture. */
function everywhere(moe: FfnSpec): ByLayer<FfnSpec> {
  return () => moe;
}

/** Experts as wide as `intermediate_size` (Mixtral's naming). */
const mixtralMoe = (r: ConfigReader) => everywhere(moeFfn(r, { inner: r.count("intermediate_size") }));

const llama4Text: DecoderTraits = {
  tied: false,
  // Three of four layers turn with rope and attend in chunks, the fourth has neither.
  mixer: (r, d, attention) => {
    const chunk = r.optionalSize("attention_chunk_size") ?? 8192;
    const stated = r.list("no_rope_layers");
    const ropeOf = stated !== null && stated.length >= d.numLayers ? stated : null;
    const interval = r.count("no_rope_layer_interval", 4);
    return (i): AttentionSpec => {
      const rope = ropeOf === null ? (i + 1) % interval !== 0 : ropeOf[i] === 1;
      return { ...attention(i), rope, window: rope ? chunk : 0 };
    };
  },
  ffn: (r, d) => {
    const inner = r.count("intermediate_size");
    const listed = r.list("moe_layers");
    const step = r.count("interleave_moe_layer_step", 1);
    const isMoe = (i: number): boolean => (listed === null ? (i + 1) % step === 0 : listed.includes(i));
    const dense = () => denseFfn(r, { bias: false, inner: r.count("intermediate_size_mlp") });
    return pickFfn({ numLayers: d.numLayers, isMoe, dense, moe: moeFfn(r, { inner, sharedInner: inner }) });
  },
};

/** MiMo-V2: sliding layers have their own head counts and an attention sink per head. */
function mimoAttention(r: ConfigReader, d: Dims, attention: ByLayer<AttentionSpec>): ByLayer<AttentionSpec> {
  const pattern = r.list("hybrid_layer_pattern", d.numLayers) ?? [];
  const heads = r.count("swa_num_attention_heads", d.heads);
  const headDim = r.count("swa_head_dim", d.headDim);
  const full = {
    vHeadDim: r.count("v_head_dim", d.headDim),
    extraParams: r.flag("add_full_attention_sink_bias", false) ? d.heads : 0,
  };
  const sliding = {
    heads,
    kvHeads: r.count("swa_num_key_value_heads", d.kvHeads),
    headDim,
    vHeadDim: r.count("swa_v_head_dim", headDim),
    extraParams: r.flag("add_swa_attention_sink_bias", false) ? heads : 0,
    window: r.size(["sliding_window", "sliding_window_size"], 0),
  };
  return (i) => ({ ...attention(i), ...(pattern[i] === 1 ? sliding : full) });
}

/** Step-3.7: q and k norms, a gate per head on the attention's output. */
const step37Text: DecoderTraits = {
  tied: false,
  dims: (r) => ({ kvHeads: r.count(["num_attention_groups", "num_key_value_heads"]) }),
  mixer: (r, d, attention) => {
    const other = r.child("attention_other_setting");
    const slidingHeads = r.count(
      "num_sliding_attention_heads",
      other?.count("num_attention_heads", d.heads) ?? d.heads,
    );
    return (i) => {
      const base = attention(i);
      const heads = base.window > 0 ? slidingHeads : base.heads;
      return { ...base, heads, qkNorm: "perHead", extraParams: d.hidden * heads };
    };
  },
  window: layerTypesWindow,
  ffn: (r, d) => {
    const moe = moeFfn(r, {
      sharedInner: r.count(["share_expert_dim", "share_expert_dims"]),
      inner: r.count("moe_intermediate_size"),
    });
    if (r.has(["first_k_dense_replace", "mlp_layer_types"]))
      return denseFirst(r, { dense: () => denseFfn(r), moe, numLayers: d.numLayers });
    return pickFfn({ numLayers: d.numLayers, isMoe: (i) => i >= 3, dense: () => denseFfn(r), moe });
  },
  model: mtpNote,
};

export const mixtureFamilies: Readonly<Record<string, Importer>> = {
  mixtral: decoder({ tied: false, kvHeads: 8, window: everyLayerWindow, ffn: mixtralMoe }),
  granitemoe: decoder({ tied: false, ffn: mixtralMoe }),
  granitemoeshared: decoder({
    tied: false,
    ffn: (r) =>
      everywhere(
        moeFfn(r, { inner: r.count("intermediate_size"), sharedInner: r.size("shared_intermediate_size", 0) }),
      ),
  }),
  olmoe: decoder({ tied: false, attention: () => ({ qkNorm: "full" }), ffn: mixtralMoe }),
  phimoe: decoder({
    tied: false,
    kvHeads: 8,
    window: everyLayerWindow,
    ffn: mixtralMoe,
    layer: () => ({ norm: "layernorm", normBias: true }),
    model: (r) => ({ lmHeadBias: r.flag("lm_head_bias", false) }),
  }),
  dbrx: decoder({
    tied: false,
    attention: (r, d) => ({ kvHeads: r.child("attn_config")?.count("kv_n_heads", d.heads) ?? d.heads }),
    ffn: (r) => {
      const ffn = r.child("ffn_config") ?? r;
      const activation = ffn.child("ffn_act_fn")?.text("name", "silu") === "gelu" ? "gelu" : "silu";
      return everywhere(moeFfn(ffn, { inner: ffn.count("ffn_hidden_size"), activation }));
    },
    layer: () => ({ norm: "layernorm", normBias: false }),
  }),
  // Sinks per head, biases on every matrix, sliding windows in every other layer.
  gpt_oss: decoder({
    tied: false,
    kvHeads: 8,
    headDim: 64,
    attention: (r, d) => {
      const bias = r.flag("attention_bias", true);
      return { qkvBias: bias, outBias: bias, extraParams: d.heads };
    },
    window: (r, d) => {
      if (r.has("layer_types")) return layerTypesWindow(r, d);
      const window = r.size("sliding_window", 128);
      return (i) => (i % 2 === 0 ? window : 0);
    },
    ffn: (r) => everywhere(moeFfn(r, { inner: r.count("intermediate_size"), bias: true, routerBias: true })),
  }),
  minimax_m2: decoder({
    tied: false,
    attention: (r) => ({ qkNorm: r.flag("use_qk_norm", true) ? "full" : "none" }),
    ffn: (r) =>
      everywhere(
        moeFfn(r, { inner: r.count("intermediate_size"), sharedInner: r.size("shared_intermediate_size", 0) }),
      ),
    model: mtpNote,
  }),
  mimo_v2_flash: decoder({
    tied: false,
    attention: (r) => ({ outBias: false, qkvBias: r.flag("attention_bias", false) }),
    mixer: mimoAttention,
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  }),
  // Biases on q, k and v only; the router's correction is a buffer.
  glm4_moe: decoder({
    tied: false,
    attention: (r) => ({ outBias: false, qkNorm: r.flag("use_qk_norm", false) ? "perHead" : "none" }),
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
    model: mtpNote,
  }),
  dots1: decoder({
    tied: false,
    attention: () => ({ qkNorm: "perHead" }),
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  }),
  ernie4_5_moe: decoder({
    tied: true,
    attention: (r) => ({ qkvBias: r.flag("use_bias", false), outBias: r.flag("use_bias", false) }),
    ffn: (r, d) => {
      const inner = r.count("moe_intermediate_size");
      const first = r.size("moe_layer_start_index", 1);
      const end =
        r.value("moe_layer_end_index") === -1 ? d.numLayers - 1 : r.size("moe_layer_end_index", d.numLayers - 1);
      const interval = r.count("moe_layer_interval", 1);
      const moe = moeFfn(r, {
        inner,
        sharedInner: r.size("moe_num_shared_experts", 0) * inner,
        bias: r.flag("use_bias", false),
      });
      const isMoe = (i: number): boolean => (i + 1) % interval === 0 && i >= first && i <= end;
      return pickFfn({
        numLayers: d.numLayers,
        isMoe,
        dense: () => denseFfn(r, { bias: r.flag("use_bias", false) }),
        moe,
      });
    },
  }),
  hunyuan_v1_moe: decoder({
    tied: true,
    attention: (r) => ({ qkNorm: r.flag("use_qk_norm", true) ? "perHead" : "none" }),
    ffn: (r) => {
      const inner = firstNumber(r, "moe_intermediate_size") ?? r.count("intermediate_size");
      const topk = firstNumber(r, "moe_topk") ?? 1;
      const shared = firstNumber(r, "num_shared_expert") ?? 1;
      return everywhere(moeFfn(r, { inner, topk, sharedInner: shared * r.count("intermediate_size") }));
    },
  }),
  hunyuan_v1_dense: decoder({ tied: true, attention: () => ({ qkNorm: "perHead" }) }),
  // Grok-1: norms before and after each branch.
  "grok-1": decoder({
    tied: false,
    ffn: (r) => everywhere(moeFfn(r, { inner: r.count("intermediate_size"), activation: "gelu" })),
    layer: () => ({ normsPerBranch: 2 }),
  }),
  // Snowflake Arctic: a dense residual part beside a mixture in every other layer.
  arctic: decoder({
    tied: false,
    kvHeads: 8,
    ffn: (r, d) => {
      const inner = r.count("intermediate_size");
      const residual = r.flag("use_residual", false) || r.flag("parallel_attn_mlp_res", false);
      const step = r.count("moe_layer_frequency", 2);
      const moe = moeFfn(r, { inner, sharedInner: residual ? d.hidden : 0 });
      return pickFfn({ numLayers: d.numLayers, isMoe: (i) => (i + 1) % step === 0, dense: () => denseFfn(r), moe });
    },
    layer: (r, d) => {
      const step = r.count("moe_layer_frequency", 2);
      const residual = r.flag("use_residual", false) || r.flag("parallel_attn_mlp_res", false);
      return (i) => ({ extraParams: residual && (i + 1) % step === 0 ? d.hidden : 0 });
    },
  }),
  bailing_moe: decoder({
    tied: false,
    attention: (r) => ({ qkvBias: r.flag("use_qkv_bias", false), outBias: r.flag("use_bias", false) }),
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  }),
  llama4_text: decoder(llama4Text),
  llama4: multimodal(decoder(llama4Text), llama4VisionParameters),
  step3p7: multimodal(decoder(step37Text), step37VisionParameters, { towerAlways: true }),
  llava: multimodal(llavaLanguage(), (vision, textHidden) => {
    const width = vision.count("hidden_size");
    return clipVisionParameters(vision) + linear(width, textHidden) + linear(textHidden, textHidden);
  }),
};

function llavaLanguage(): Importer {
  const byType: Readonly<Record<string, Importer>> = {
    llama: decoder({ tied: false }),
    mistral: decoder({ tied: false, kvHeads: 8, window: everyLayerWindow }),
    vicuna: decoder({ tied: false }),
  };
  return (reader, name, family) => {
    const type = reader.text("model_type", "llama");
    const language = byType[type] ?? byType["llama"];
    return (language ?? decoder({ tied: false }))(reader, name, family);
  };
}

/** Some configs state one number, some one per layer. */
function firstNumber(reader: ConfigReader, key: string): number | null {
  const value = reader.value(key);
  if (Array.isArray(value)) return typeof value[0] === "number" ? value[0] : null;
  return value === undefined ? null : reader.count(key);
}
