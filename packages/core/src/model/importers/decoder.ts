// The common shape of a decoder-only language model, and how a family departs from it. A family is a `DecoderTraits`:
// what is not stated is LLaMA's (RMSNorm before each branch, rope, SwiGLU, no biases, untied head). Traits that depend
// on the config are functions of the reader, called once per model; what varies by layer is a function of the layer
// index that they return.

import type { ConfigReader } from "../configReader.ts";
import { internLayers } from "../internLayers.ts";
import type { ActivationKind, AttentionSpec, FfnSpec, LayerSpec, MixerSpec, ModelSpec } from "../types.ts";

/** Turns a config (already known to be of this family) into a model. Findings stay in the reader. */
export type Importer = (reader: ConfigReader, name: string, family: string) => ModelSpec;

export interface Dims {
  readonly hidden: number;
  readonly numLayers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocab: number;
  readonly maxSeqLen: number;
}

export type ByLayer<T> = (layerIndex: number) => T;

export interface DecoderTraits {
  /** `tie_word_embeddings` when the config does not say: true for classes that keep the library's default. */
  readonly tied: boolean;
  /** kv heads when the config does not say; absent = as many as heads. */
  readonly kvHeads?: number;
  /** Head width when the config does not say; absent = hidden / heads. */
  readonly headDim?: number;
  /** Dimensions read otherwise than by the usual keys, or class defaults that configs commonly omit. */
  readonly dims?: (reader: ConfigReader) => Partial<Dims>;
  readonly attention?: (reader: ConfigReader, dims: Dims) => Partial<AttentionSpec>;
  /** Sliding window by layer; by default `layer_types` and `sliding_window` decide. */
  readonly window?: (reader: ConfigReader, dims: Dims) => ByLayer<number>;
  /** Replaces attention in some layers. */
  readonly mixer?: (reader: ConfigReader, dims: Dims, attention: ByLayer<AttentionSpec>) => ByLayer<MixerSpec>;
  readonly ffn?: (reader: ConfigReader, dims: Dims) => ByLayer<FfnSpec>;
  readonly layer?: (reader: ConfigReader, dims: Dims) => Partial<LayerSpec> | ByLayer<Partial<LayerSpec>>;
  readonly model?: (reader: ConfigReader, dims: Dims) => Partial<ModelSpec>;
}

export const hiddenKeys = ["hidden_size", "n_embd", "d_model", "n_embed", "model_dim"];
export const layerKeys = ["num_hidden_layers", "n_layer", "n_layers", "num_layers"];
const headKeys = ["num_attention_heads", "n_head", "n_heads", "num_heads"];
const kvHeadKeys = ["num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num", "num_query_groups"];
export const ffnKeys = ["intermediate_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size", "d_inner"];
const positionKeys = [
  "max_position_embeddings",
  "n_positions",
  "n_ctx",
  "max_seq_len",
  "seq_length",
  "max_sequence_length",
  "model_max_length",
];
const activationKeys = ["hidden_act", "activation_function", "hidden_activation", "activation", "mlp_hidden_act"];

export function decoder(traits: DecoderTraits): Importer {
  return (reader, name, family) => {
    const dims = readDims(reader, traits);
    const base: AttentionSpec = {
      ...plainAttention(dims),
      ...readAttentionKeys(reader),
      ...traits.attention?.(reader, dims),
    };
    const windowOf = (traits.window ?? layerTypesWindow)(reader, dims);
    const attentionOf: ByLayer<AttentionSpec> = (i) => ({ ...base, window: windowOf(i) });
    const mixerOf = traits.mixer?.(reader, dims, attentionOf) ?? attentionOf;
    const ffnOf = traits.ffn?.(reader, dims) ?? denseFfn(reader);
    const departure = traits.layer?.(reader, dims) ?? {};
    const departureOf = typeof departure === "function" ? departure : () => departure;
    const perLayer = Array.from({ length: dims.numLayers }, (_, i): LayerSpec => {
      const layer = { mixer: mixerOf(i), ffn: ffnOf(i), ...plainLayer };
      return { ...layer, ...departureOf(i) };
    });
    const first = perLayer[0] ?? { ...plainLayer, mixer: base, ffn: { kind: "none" } };
    const model: ModelSpec = {
      name,
      family,
      hidden: dims.hidden,
      vocab: dims.vocab,
      tiedEmbeddings: reader.flag("tie_word_embeddings", traits.tied),
      lmHeadBias: false,
      learnedPositions: 0,
      position: "rope",
      embeddingNorm: false,
      finalNorm: first.norm,
      finalNormBias: first.normBias,
      maxSeqLen: dims.maxSeqLen,
      ...internLayers(perLayer),
      mtpLayers: 0,
      hasLmHead: true,
      extraParams: 0,
      notes: [],
    };
    if (!reader.has("tie_word_embeddings") && traits.tied)
      reader.note("tie_word_embeddings not stated: tied (class default)");
    return { ...model, ...traits.model?.(reader, dims) };
  };
}

/** Facts of a layer of LLaMA's kind beside its mixer and feed-forward part. */
export const plainLayer = {
  norm: "rmsnorm",
  normBias: false,
  normsPerBranch: 1,
  parallelResidual: false,
  extraParams: 0,
} as const;

/** Layers of GPT-2's kind: LayerNorm with bias. */
export const layerNormed = { norm: "layernorm", normBias: true } as const;

/** Reads the dimensions every decoder has and checks that heads divide. */
export function readDims(reader: ConfigReader, traits: Pick<DecoderTraits, "dims" | "kvHeads" | "headDim"> = {}): Dims {
  const own = traits.dims?.(reader) ?? {};
  const hidden = own.hidden ?? reader.count(hiddenKeys);
  const numLayers = own.numLayers ?? reader.layerCount(layerKeys);
  const heads = own.heads ?? reader.count(headKeys);
  const kvHeads = own.kvHeads ?? reader.count(kvHeadKeys, defaultKvHeads(reader, heads, traits.kvHeads));
  const headDim = own.headDim ?? readHeadDim(reader, { hidden, heads, fallback: traits.headDim });
  reader.divides({ key: "num_key_value_heads", value: kvHeads }, { key: "num_attention_heads", value: heads });
  const vocab = own.vocab ?? reader.count(["vocab_size", "padded_vocab_size"]);
  const maxSeqLen = own.maxSeqLen ?? reader.count(positionKeys, 2048);
  return { hidden, numLayers, heads, kvHeads, headDim, vocab, maxSeqLen };
}

function defaultKvHeads(reader: ConfigReader, heads: number, classDefault: number | undefined): number {
  if (classDefault === undefined || heads % classDefault !== 0 || reader.has(kvHeadKeys)) return heads;
  reader.note(`num_key_value_heads not stated: ${classDefault} (class default)`);
  return classDefault;
}

function readHeadDim(reader: ConfigReader, d: { hidden: number; heads: number; fallback: number | undefined }): number {
  const stated = ["head_dim", "attention_head_dim", "kv_channels"];
  if (reader.has(stated)) return reader.count(stated);
  if (d.fallback !== undefined) {
    reader.note(`head_dim not stated: ${d.fallback} (class default)`);
    return d.fallback;
  }
  reader.divides(
    { key: "num_attention_heads", value: d.heads },
    { key: "hidden_size", value: d.hidden },
    `or state "head_dim"`,
  );
  return Math.max(1, Math.floor(d.hidden / d.heads));
}

export function plainAttention(dims: Pick<Dims, "heads" | "kvHeads" | "headDim">): AttentionSpec {
  return {
    kind: "attention",
    heads: dims.heads,
    kvHeads: dims.kvHeads,
    headDim: dims.headDim,
    vHeadDim: dims.headDim,
    qkvBias: false,
    outBias: false,
    qkNorm: "none",
    window: 0,
    causal: true,
    rope: true,
    ropeFrac: 1,
    crossAttention: false,
    extraParams: 0,
  };
}

/** Keys that mean the same wherever they occur: `attention_bias` puts biases on q, k, v and o. */
function readAttentionKeys(reader: ConfigReader): Partial<AttentionSpec> {
  const bias = reader.flag("attention_bias", false);
  const ropeParameters = reader.child("rope_parameters");
  const ropeFrac = reader.positive(
    ["partial_rotary_factor", "rotary_pct"],
    ropeParameters?.positive("partial_rotary_factor", 1) ?? 1,
  );
  return { qkvBias: bias, outBias: bias, ropeFrac };
}

/** `layer_types` says which layers slide; a model without the list slides everywhere or nowhere, as its family says. */
export function layerTypesWindow(reader: ConfigReader, dims: Pick<Dims, "numLayers">): ByLayer<number> {
  const types = reader.list("layer_types", dims.numLayers);
  const window = reader.optionalSize(["sliding_window", "attention_chunk_size"]) ?? 0;
  if (types === null) return () => 0;
  return (i) =>
    types[i] === "sliding_attention" || types[i] === "chunked_attention" || types[i] === "local" ? window : 0;
}

/** Every layer slides when the config states a window (Mistral), unless `layer_types` says otherwise. */
export function everyLayerWindow(reader: ConfigReader, dims: Pick<Dims, "numLayers">): ByLayer<number> {
  if (reader.has("layer_types")) return layerTypesWindow(reader, dims);
  const window = reader.optionalSize("sliding_window") ?? 0;
  return () => window;
}

/** A dense feed-forward part in every layer. */
export function denseFfn(
  reader: ConfigReader,
  departure: {
    readonly gated?: boolean;
    readonly bias?: boolean;
    readonly inner?: number;
    readonly activation?: ActivationKind;
  } = {},
): ByLayer<FfnSpec> {
  const gated = departure.gated ?? true;
  const ffn: FfnSpec = {
    kind: "dense",
    inner: departure.inner ?? reader.count(ffnKeys),
    gated,
    bias: departure.bias ?? reader.flag("mlp_bias", false),
    activation: departure.activation ?? readActivation(reader, gated ? "silu" : "gelu"),
  };
  return () => ffn;
}

/** The activation by Hugging Face's name for it. */
export function readActivation(reader: ConfigReader, fallback: ActivationKind): ActivationKind {
  return activationNamed(reader.text(activationKeys, fallback));
}

export function activationNamed(name: string): ActivationKind {
  if (/relu2|relu_squared|squared/.test(name)) return "relu2";
  if (/quick_gelu/.test(name)) return "quick_gelu";
  if (/gelu|geglu/.test(name)) return "gelu";
  if (/silu|swish|swiglu/.test(name)) return "silu";
  if (/relu/.test(name)) return "relu";
  return name === "tanh" ? "tanh" : "gelu";
}
