// Encoder-decoder language models: T5 and its kin (RMSNorm, relative positions, no biases) and BART's kin (LayerNorm,
// biases, learned or sinusoidal positions). Decoder layers carry a cross attention of the same shape.
// Sources: arXiv 1910.10683 (T5), 2010.11934 (mT5), 1910.13461 (BART), 2001.08210 (mBART), 1912.08777 (PEGASUS).

import { internLayers } from "../internLayers.ts";
import type { AttentionSpec, FfnSpec, LayerSpec, ModelSpec, NormKind } from "../types.ts";
import { activationNamed, denseFfn, type Importer, plainAttention, plainLayer } from "./decoder.ts";

function repeat(layer: LayerSpec, times: number) {
  return internLayers(Array.from({ length: times }, () => layer));
}

function t5(p: { tied: boolean; biasInEveryLayer: boolean }): Importer {
  return (reader, name, family): ModelSpec => {
    const hidden = reader.count("d_model");
    const heads = reader.count("num_heads");
    const headDim = reader.count("d_kv");
    const numEncoder = reader.layerCount("num_layers");
    const numDecoder = reader.layerCount("num_decoder_layers", numEncoder);
    const attention: AttentionSpec = { ...plainAttention({ heads, kvHeads: heads, headDim }), rope: false };
    const projection = reader.text("feed_forward_proj", "relu");
    const ffn: FfnSpec = {
      kind: "dense",
      inner: reader.count("d_ff"),
      gated: projection.startsWith("gated"),
      bias: false,
      activation: activationNamed(projection),
    };
    const table = reader.count("relative_attention_num_buckets", 32) * heads;
    const tables = p.biasInEveryLayer ? numEncoder + numDecoder : 2;
    return {
      name,
      family,
      hidden,
      vocab: reader.count("vocab_size"),
      tiedEmbeddings: reader.flag("tie_word_embeddings", p.tied),
      lmHeadBias: false,
      learnedPositions: 0,
      position: "relative",
      embeddingNorm: false,
      finalNorm: "rmsnorm",
      finalNormBias: false,
      maxSeqLen: reader.count("n_positions", 512),
      ...repeat({ ...plainLayer, mixer: { ...attention, crossAttention: true }, ffn }, numDecoder),
      encoder: {
        ...repeat({ ...plainLayer, mixer: { ...attention, causal: false }, ffn }, numEncoder),
        finalNorm: "rmsnorm",
        finalNormBias: false,
      },
      mtpLayers: 0,
      hasLmHead: true,
      extraParams: tables * table,
      extraNote: "relative position tables",
      notes: [],
    };
  };
}

function bartLike(p: { learned: boolean; embeddingNorm: boolean; finalNorm: NormKind }): Importer {
  return (reader, name, family): ModelSpec => {
    const hidden = reader.count("d_model");
    const maxSeqLen = reader.count("max_position_embeddings", 1024);
    const stack = (side: "encoder" | "decoder") => {
      const heads = reader.count(`${side}_attention_heads`);
      reader.divides({ key: `${side}_attention_heads`, value: heads }, { key: "d_model", value: hidden });
      const shape = plainAttention({ heads, kvHeads: heads, headDim: Math.max(1, Math.floor(hidden / heads)) });
      const isDecoder = side === "decoder";
      const attention = {
        ...shape,
        qkvBias: true,
        outBias: true,
        rope: false,
        causal: isDecoder,
        crossAttention: isDecoder,
      };
      const ffn = denseFfn(reader, { gated: false, bias: true, inner: reader.count(`${side}_ffn_dim`) })(0);
      const plain = {
        norm: "layernorm",
        normBias: true,
        normsPerBranch: 1,
        parallelResidual: false,
        extraParams: 0,
      } as const;
      return repeat({ ...plain, mixer: attention, ffn }, reader.layerCount(`${side}_layers`));
    };
    // BART's position tables start two rows in; the decoder has its own table and its own embedding norm.
    const rows = p.learned ? maxSeqLen + 2 : 0;
    return {
      name,
      family,
      hidden,
      vocab: reader.count("vocab_size"),
      tiedEmbeddings: reader.flag("tie_word_embeddings", true),
      lmHeadBias: false,
      learnedPositions: rows,
      position: p.learned ? "learned" : "none",
      embeddingNorm: p.embeddingNorm,
      finalNorm: p.finalNorm,
      finalNormBias: p.finalNorm !== "none",
      maxSeqLen,
      ...stack("decoder"),
      encoder: { ...stack("encoder"), finalNorm: p.finalNorm, finalNormBias: p.finalNorm !== "none" },
      mtpLayers: 0,
      hasLmHead: true,
      extraParams: rows * hidden + (p.embeddingNorm ? 2 * hidden : 0),
      extraNote: "the encoder's position table and embedding norm",
      notes: [],
    };
  };
}

/** Whisper: two convolutions over mel frames, no bias on keys, learned positions on both sides (arXiv 2212.04356). */
const whisper: Importer = (reader, name, family) => {
  const model = bartLike({ learned: true, embeddingNorm: false, finalNorm: "layernorm" })(reader, name, family);
  const { hidden } = model;
  const rows = reader.count("max_target_positions", 448);
  const sourceRows = reader.count("max_source_positions", 1500);
  const convolutions = 3 * reader.count("num_mel_bins", 80) * hidden + hidden + 3 * hidden * hidden + hidden;
  return {
    ...model,
    ...unbiasedKeys(model),
    ...(model.encoder === undefined ? {} : { encoder: { ...model.encoder, ...unbiasedKeys(model.encoder) } }),
    learnedPositions: rows,
    maxSeqLen: rows,
    extraParams: convolutions + sourceRows * hidden,
    extraNote: "convolutions and the encoder's position table",
  };
};

/** The same layers with biases on q and v only: two vectors per attention, counted apart. */
function unbiasedKeys(stack: { readonly layerKinds: readonly LayerSpec[] }): {
  readonly layerKinds: readonly LayerSpec[];
} {
  const layerKinds = stack.layerKinds.map((layer): LayerSpec => {
    if (layer.mixer.kind !== "attention") return layer;
    const { heads, headDim, crossAttention } = layer.mixer;
    const extraParams = 2 * heads * headDim * (crossAttention ? 2 : 1);
    return { ...layer, mixer: { ...layer.mixer, qkvBias: false, extraParams } };
  });
  return { layerKinds };
}

export const encoderDecoderFamilies: Readonly<Record<string, Importer>> = {
  t5: t5({ tied: true, biasInEveryLayer: false }),
  mt5: t5({ tied: false, biasInEveryLayer: false }),
  umt5: t5({ tied: false, biasInEveryLayer: true }),
  bart: bartLike({ learned: true, embeddingNorm: true, finalNorm: "none" }),
  mbart: bartLike({ learned: true, embeddingNorm: true, finalNorm: "layernorm" }),
  pegasus: bartLike({ learned: false, embeddingNorm: false, finalNorm: "layernorm" }),
  m2m_100: bartLike({ learned: false, embeddingNorm: false, finalNorm: "layernorm" }),
  whisper,
  marian: bartLike({ learned: false, embeddingNorm: false, finalNorm: "none" }),
};
