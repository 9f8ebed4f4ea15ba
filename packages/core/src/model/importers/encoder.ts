// Encoders: BERT and its kin, and the vision transformer as a classifier. Post-norm layers have no final norm; what
// stands around the layers (segment table, pooler, patch embedding, classifier) counts as `extraParams`.
// Sources: arXiv 1810.04805 (BERT), 1907.11692 (RoBERTa), 1910.01108 (DistilBERT), 2010.11929 (ViT).

import type { ConfigReader } from "../configReader.ts";
import { internLayers } from "../internLayers.ts";
import type { LayerSpec, ModelSpec } from "../types.ts";
import { type Dims, denseFfn, type Importer, plainAttention, readDims } from "./decoder.ts";
import { linear } from "./vision.ts";

const layerNormed = {
  norm: "layernorm",
  normBias: true,
  normsPerBranch: 1,
  parallelResidual: false,
  extraParams: 0,
} as const;

function encoderLayer(reader: ConfigReader, dims: Dims, p: { qkvBias: boolean }): LayerSpec {
  const attention = { ...plainAttention(dims), qkvBias: p.qkvBias, outBias: true, causal: false, rope: false };
  const ffn = denseFfn(reader, { gated: false, bias: true, inner: reader.count(["intermediate_size", "hidden_dim"]) });
  return { ...layerNormed, mixer: attention, ffn: ffn(0) };
}

/** What follows the encoder, by the class the config names; a masked language model when it names none. */
function headOf(reader: ConfigReader): "maskedLm" | "pooler" | "classifier" | "none" {
  const architecture = String(reader.list("architectures")?.[0] ?? "ForMaskedLM");
  if (/ForMaskedLM|ForPreTraining|LMHead/.test(architecture)) return "maskedLm";
  if (/ForSequenceClassification|ForMultipleChoice/.test(architecture)) return "classifier";
  return /Model$/.test(architecture) ? "pooler" : "none";
}

function bertLike(p: { segments: number; pooled: boolean; dims?: (reader: ConfigReader) => Partial<Dims> }): Importer {
  return (reader, name, family): ModelSpec => {
    const dims = readDims(reader, p.dims === undefined ? {} : { dims: p.dims });
    const { hidden } = dims;
    const layer = encoderLayer(reader, dims, { qkvBias: true });
    const head = headOf(reader);
    const segments = p.segments === 0 ? 0 : reader.size("type_vocab_size", p.segments);
    const dense = linear(hidden, hidden);
    const headParams = {
      maskedLm: dense + 2 * hidden,
      pooler: p.pooled ? dense : 0,
      classifier: dense + linear(hidden, reader.labelCount()),
      none: 0,
    }[head];
    return {
      name,
      family,
      hidden,
      vocab: dims.vocab,
      tiedEmbeddings: true,
      lmHeadBias: head === "maskedLm",
      learnedPositions: dims.maxSeqLen,
      position: "learned",
      embeddingNorm: true,
      finalNorm: "none",
      finalNormBias: false,
      maxSeqLen: dims.maxSeqLen,
      ...internLayers(Array.from({ length: dims.numLayers }, () => layer)),
      mtpLayers: 0,
      hasLmHead: head === "maskedLm",
      extraParams: segments * hidden + headParams,
      extraNote: "segment table and head",
      notes: [],
    };
  };
}

const vit: Importer = (reader, name, family): ModelSpec => {
  const image = reader.count("image_size", 224);
  const patch = reader.count("patch_size", 16);
  reader.divides({ key: "patch_size", value: patch }, { key: "image_size", value: image });
  const numPatches = Math.floor(image / patch) ** 2;
  // Images have no vocabulary; the sequence is the patches and a class token.
  const dims = readDims(reader, { dims: () => ({ vocab: 0, maxSeqLen: numPatches + 1 }) });
  const { hidden } = dims;
  const layer = encoderLayer(reader, dims, { qkvBias: reader.flag("qkv_bias", true) });
  const classifies = /ForImageClassification/.test(
    String(reader.list("architectures")?.[0] ?? "ForImageClassification"),
  );
  const stem = linear(reader.count("num_channels", 3) * patch * patch, hidden) + hidden;
  const head = classifies
    ? linear(hidden, reader.labelCount())
    : linear(hidden, reader.count("pooler_output_size", hidden));
  return {
    name,
    family,
    hidden,
    vocab: 0,
    tiedEmbeddings: true,
    lmHeadBias: false,
    learnedPositions: numPatches + 1,
    position: "learned",
    embeddingNorm: false,
    finalNorm: "layernorm",
    finalNormBias: true,
    maxSeqLen: numPatches + 1,
    ...internLayers(Array.from({ length: dims.numLayers }, () => layer)),
    mtpLayers: 0,
    hasLmHead: false,
    extraParams: stem + head,
    extraNote: "patch embedding, class token and classifier",
    notes: [],
  };
};

export const encoderFamilies: Readonly<Record<string, Importer>> = {
  bert: bertLike({ segments: 2, pooled: true }),
  roberta: bertLike({ segments: 1, pooled: true }),
  "xlm-roberta": bertLike({ segments: 1, pooled: true }),
  camembert: bertLike({ segments: 1, pooled: true }),
  distilbert: bertLike({
    segments: 0,
    pooled: false,
    dims: (r) => ({ hidden: r.count(["dim", "hidden_size"]), vocab: r.count("vocab_size", 30_522) }),
  }),
  vit,
};
