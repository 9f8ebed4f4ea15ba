// State-space models and their mixtures with attention: Mamba, Mamba-2, Jamba, Nemotron-H, Qwen3-Next and Qwen3.5.
// Sources: arXiv 2312.00752, 2405.21060, 2403.19887 (Jamba), 2504.03624 (Nemotron-H) and the published modelling code.

import type { ConfigReader } from "../configReader.ts";
import { patternLayers } from "../hybridPattern.ts";
import { internLayers } from "../internLayers.ts";
import { gatedDelta, mamba1, mamba2 } from "../stateSpace.ts";
import type { LayerSpec, MixerSpec, ModelSpec, SsmSpec } from "../types.ts";
import {
  type ByLayer,
  type DecoderTraits,
  decoder,
  denseFfn,
  hiddenKeys,
  type Importer,
  layerKeys,
  plainAttention,
  plainLayer,
} from "./decoder.ts";
import { mtpNote } from "./deepseek.ts";
import { deepseekMoe, moeFfn, pickFfn } from "./moe.ts";
import { multimodal } from "./multimodal.ts";
import { sparseStep } from "./qwen.ts";
import { qwen3VisionParameters } from "./vision.ts";

/** A stack whose every layer is one state-space mixer behind one norm. */
function pureSsm(traits: {
  tied: boolean;
  mixer: (reader: ConfigReader, hidden: number) => SsmSpec;
  vocab?: (reader: ConfigReader) => number;
}): Importer {
  return (reader, name, family): ModelSpec => {
    const hidden = reader.count(hiddenKeys);
    const layer: LayerSpec = { ...plainLayer, mixer: traits.mixer(reader, hidden), ffn: { kind: "none" } };
    return stackOf(reader, {
      name,
      family,
      hidden,
      vocab: traits.vocab?.(reader) ?? reader.count("vocab_size"),
      tied: traits.tied,
      maxSeqLen: reader.count("max_position_embeddings", 1_048_576),
      layers: Array.from({ length: reader.layerCount(layerKeys) }, () => layer),
    });
  };
}

/** A model without positions whose layers are behind one RMSNorm each. */
function stackOf(
  reader: ConfigReader,
  p: Pick<ModelSpec, "name" | "family" | "hidden" | "vocab" | "maxSeqLen"> & {
    readonly tied: boolean;
    readonly layers: readonly LayerSpec[];
  },
): ModelSpec {
  const { tied, layers, ...facts } = p;
  return {
    ...facts,
    tiedEmbeddings: reader.flag("tie_word_embeddings", tied),
    lmHeadBias: false,
    learnedPositions: 0,
    position: "none",
    embeddingNorm: false,
    finalNorm: "rmsnorm",
    finalNormBias: false,
    ...internLayers(layers),
    mtpLayers: 0,
    hasLmHead: true,
    extraParams: 0,
    notes: [],
  };
}

function readMamba1(reader: ConfigReader, hidden: number): SsmSpec {
  return mamba1({
    hidden,
    innerDim: reader.count("intermediate_size", reader.count("expand", 2) * hidden),
    stateDim: reader.count("state_size", 16),
    dtRank: readDtRank(reader, "time_step_rank", hidden),
    convKernel: reader.count("conv_kernel", 4),
    convBias: reader.flag("use_conv_bias", true),
    projBias: reader.flag("use_bias", false),
    innerNorms: false,
  });
}

/** "auto" is hidden / 16, rounded up. */
function readDtRank(reader: ConfigReader, key: string, hidden: number): number {
  const automatic = Math.ceil(hidden / 16);
  return reader.value(key) === "auto" ? automatic : reader.count(key, automatic);
}

function jambaMixer(reader: ConfigReader, hidden: number): SsmSpec {
  return mamba1({
    hidden,
    innerDim: reader.count("mamba_expand", 2) * hidden,
    stateDim: reader.count("mamba_d_state", 16),
    dtRank: readDtRank(reader, "mamba_dt_rank", hidden),
    convKernel: reader.count("mamba_d_conv", 4),
    convBias: reader.flag("mamba_conv_bias", true),
    projBias: reader.flag("mamba_proj_bias", false),
    innerNorms: true,
  });
}

/** Nemotron-H: one branch a layer, written as a pattern. */
const nemotronH: Importer = (reader, name, family) => {
  const hidden = reader.count("hidden_size");
  const numLayers = reader.layerCount("num_hidden_layers");
  const heads = reader.count("num_attention_heads");
  const pattern = reader.text("hybrid_override_pattern", "");
  if (pattern === "") reader.find("hybrid_override_pattern", `Missing required field "hybrid_override_pattern"`);
  const bias = reader.flag("attention_bias", false);
  const mlpBias = reader.flag("mlp_bias", false);
  const layers = patternLayers(reader, "hybrid_override_pattern", {
    pattern,
    numLayers,
    plain: plainLayer,
    mamba: () =>
      mamba2({
        hidden,
        heads: reader.count("mamba_num_heads"),
        headDim: reader.count("mamba_head_dim"),
        stateDim: reader.count("ssm_state_size"),
        groups: reader.count("n_groups", 8),
        convKernel: reader.count("conv_kernel", 4),
        convBias: reader.flag("use_conv_bias", true),
        projBias: reader.flag(["mamba_proj_bias", "use_bias"], false),
        gatedNorm: true,
      }),
    attention: () => ({
      ...plainAttention({
        heads,
        kvHeads: reader.count("num_key_value_heads", heads),
        headDim: reader.count(["head_dim", "attention_head_dim"], Math.max(1, Math.floor(hidden / heads))),
      }),
      rope: false,
      qkvBias: bias,
      outBias: bias,
    }),
    dense: () => denseFfn(reader, { gated: false, bias: mlpBias, activation: "relu2" })(0),
    moe: () =>
      deepseekMoe(reader, {
        gated: false,
        bias: mlpBias,
        activation: "relu2",
        sharedInner: reader.size("n_shared_experts", 1) * reader.size("moe_shared_expert_intermediate_size", 0),
        latentDim: reader.size("moe_latent_size", 0),
      }),
  });
  mtpNote(reader);
  return stackOf(reader, {
    name,
    family,
    hidden,
    vocab: reader.count("vocab_size"),
    tied: false,
    maxSeqLen: reader.count("max_position_embeddings", 4096),
    layers,
  });
};

/** Three gated delta nets to one gated attention; the pattern is `layer_types` or every `full_attention_interval`-th layer. */
const qwenNextTraits: DecoderTraits = {
  tied: false,
  headDim: 256,
  attention: () => ({ qkNorm: "perHead", outputGate: true }),
  mixer: (r, d, attention): ByLayer<MixerSpec> => {
    const types = r.list("layer_types", d.numLayers);
    const interval = r.count("full_attention_interval", 4);
    const delta = gatedDelta({
      hidden: d.hidden,
      keyHeads: r.count("linear_num_key_heads"),
      keyHeadDim: r.count("linear_key_head_dim"),
      valueHeads: r.count("linear_num_value_heads"),
      valueHeadDim: r.count("linear_value_head_dim"),
      convKernel: r.count("linear_conv_kernel_dim", 4),
    });
    const isFull = (i: number): boolean => (types === null ? (i + 1) % interval === 0 : types[i] === "full_attention");
    return (i) => (isFull(i) ? attention(i) : delta);
  },
  model: mtpNote,
};
const qwen35Dense = decoder(qwenNextTraits);
const qwen35Moe = decoder({
  ...qwenNextTraits,
  ffn: (r, d) => sparseStep(r, d, { shared: r.size("shared_expert_intermediate_size") }),
});

/** Mamba-2 by the keys of Bamba and Granite 4; the scalar-decay heads default to twice the width. */
function bambaMixer(reader: ConfigReader, hidden: number): SsmSpec {
  const heads = reader.count("mamba_n_heads", 128);
  const headDim =
    typeof reader.value("mamba_d_head") === "number"
      ? reader.count("mamba_d_head")
      : Math.max(1, Math.floor((reader.count("mamba_expand", 2) * hidden) / heads));
  return mamba2({
    hidden,
    heads,
    headDim,
    stateDim: reader.count("mamba_d_state", 256),
    groups: reader.count("mamba_n_groups", 1),
    convKernel: reader.count("mamba_d_conv", 4),
    convBias: reader.flag("mamba_conv_bias", true),
    projBias: reader.flag("mamba_proj_bias", false),
    gatedNorm: true,
  });
}

export const hybridFamilies: Readonly<Record<string, Importer>> = {
  mamba: pureSsm({ tied: true, mixer: readMamba1 }),
  falcon_mamba: pureSsm({ tied: true, mixer: readMamba1 }),
  // The original repository's format: no model type, a padded vocabulary, everything else a class default.
  mamba_ssm: pureSsm({
    tied: true,
    mixer: (r, hidden) =>
      r.child("ssm_cfg")?.text("layer", "Mamba1") === "Mamba2" ? originalMamba2(hidden) : originalMamba1(hidden),
    vocab: (r) => {
      const multiple = r.count("pad_vocab_size_multiple", 8);
      return Math.ceil(r.count("vocab_size") / multiple) * multiple;
    },
  }),
  mamba2: pureSsm({
    tied: false,
    mixer: (r, hidden) => {
      const headDim = r.count("head_dim", 64);
      const heads = r.count("num_heads", Math.floor((r.count("expand", 2) * hidden) / headDim));
      return mamba2({
        hidden,
        heads,
        headDim,
        stateDim: r.count("state_size", 128),
        groups: r.count("n_groups", 8),
        convKernel: r.count("conv_kernel", 4),
        convBias: r.flag("use_conv_bias", true),
        projBias: r.flag("use_bias", false),
        gatedNorm: true,
      });
    },
  }),
  jamba: decoder({
    tied: false,
    kvHeads: 8,
    mixer: (r, d, attention) => {
      const period = r.count("attn_layer_period", 8);
      const offset = r.size("attn_layer_offset", 4);
      const ssm = jambaMixer(r, d.hidden);
      return (i) => (i % period === offset ? { ...attention(i), rope: false } : ssm);
    },
    ffn: (r, d) => {
      const period = r.count("expert_layer_period", 2);
      const offset = r.size("expert_layer_offset", 1);
      const experts = r.count("num_experts", 16);
      if (experts === 1) return denseFfn(r);
      const moe = moeFfn(r, { inner: r.count("intermediate_size") });
      return pickFfn({ numLayers: d.numLayers, isMoe: (i) => i % period === offset, dense: () => denseFfn(r), moe });
    },
    model: () => ({ position: "none" }),
  }),
  bamba: decoder({
    tied: false,
    kvHeads: 8,
    mixer: (r, d, attention) => {
      const full = r.list("attn_layer_indices") ?? [];
      const ssm = bambaMixer(r, d.hidden);
      return (i) => (full.includes(i) ? attention(i) : ssm);
    },
  }),
  // Granite 4: a shared dense part in every layer, routed experts beside it in the larger models.
  granitemoehybrid: decoder({
    tied: true,
    mixer: (r, d, attention) => {
      const types = r.list(["layer_types", "layers_block_type"], d.numLayers) ?? [];
      const anyMamba = types.includes("mamba");
      const ssm = anyMamba ? bambaMixer(r, d.hidden) : null;
      return (i) => (types[i] === "mamba" && ssm !== null ? ssm : attention(i));
    },
    ffn: (r) => {
      const shared = r.count(["shared_intermediate_size", "intermediate_size"]);
      if (r.size("num_local_experts", 0) === 0) return denseFfn(r, { inner: shared, bias: false });
      const moe = moeFfn(r, { inner: r.count("intermediate_size"), sharedInner: shared });
      return () => moe;
    },
  }),
  nemotron_h: nemotronH,
  qwen3_next: qwen35Moe,
  qwen3_5_text: qwen35Dense,
  qwen3_5_moe_text: qwen35Moe,
  qwen3_5: multimodal(qwen35Dense, qwen3VisionParameters),
  qwen3_5_moe: multimodal(qwen35Moe, qwen3VisionParameters),
};

function originalMamba1(hidden: number): SsmSpec {
  return mamba1({
    hidden,
    innerDim: 2 * hidden,
    stateDim: 16,
    dtRank: Math.ceil(hidden / 16),
    convKernel: 4,
    convBias: true,
    projBias: false,
    innerNorms: false,
  });
}

function originalMamba2(hidden: number): SsmSpec {
  return mamba2({
    hidden,
    heads: (2 * hidden) / 64,
    headDim: 64,
    stateDim: 128,
    groups: 1,
    convKernel: 4,
    convBias: true,
    projBias: false,
    gatedNorm: true,
  });
}
