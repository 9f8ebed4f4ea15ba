// The transformer of a diffusion model. FLUX: layers with an image and a text stream that attend jointly, then layers
// with one stream whose attention and feed-forward part run in parallel; every norm is modulated by the time embedding.
// Source: the published FluxTransformer2DModel configuration and modelling code (diffusers).

import type { ConfigReader } from "../configReader.ts";
import { internLayers } from "../internLayers.ts";
import type { LayerSpec, ModelSpec } from "../types.ts";
import { type Importer, plainAttention } from "./decoder.ts";
import { linear } from "./vision.ts";

const flux: Importer = (reader, name, family): ModelSpec => {
  const heads = reader.count("num_attention_heads");
  const headDim = reader.count("attention_head_dim");
  const hidden = heads * headDim;
  const attention = {
    ...plainAttention({ heads, kvHeads: heads, headDim }),
    qkvBias: true,
    outBias: true,
    qkNorm: "perHead",
    causal: false,
  } as const;
  const ffn = { kind: "dense", inner: 4 * hidden, gated: false, bias: true, activation: "gelu" } as const;
  const plain = { norm: "layernorm", normBias: false, normAffine: false, normsPerBranch: 1 } as const;
  const textStream = 4 * linear(hidden, hidden) + 2 * headDim + linear(hidden, 4 * hidden) + linear(4 * hidden, hidden);
  const joint: LayerSpec = {
    ...plain,
    mixer: attention,
    ffn,
    parallelResidual: false,
    extraParams: textStream + 2 * linear(hidden, 6 * hidden),
  };
  // One output matrix takes attention and feed-forward part together, with one bias.
  const single: LayerSpec = {
    ...plain,
    mixer: { ...attention, outBias: false },
    ffn,
    parallelResidual: true,
    extraParams: linear(hidden, 3 * hidden),
  };
  const layers = [
    ...Array.from({ length: reader.layerCount("num_layers") }, () => joint),
    ...Array.from({ length: reader.layerCount("num_single_layers") }, () => single),
  ];
  return {
    name,
    family,
    hidden,
    vocab: 0,
    tiedEmbeddings: true,
    lmHeadBias: false,
    learnedPositions: 0,
    position: "rope",
    embeddingNorm: false,
    finalNorm: "none",
    finalNormBias: false,
    maxSeqLen: 4608,
    ...internLayers(layers),
    mtpLayers: 0,
    hasLmHead: false,
    extraParams: embedders(reader, hidden),
    extraNote: "latent, text, pooled-text and time embedders, output projection",
    notes: [],
  };
};

function embedders(reader: ConfigReader, hidden: number): number {
  const channels = reader.count("in_channels");
  const patch = reader.count("patch_size", 1);
  const timeMlp = linear(256, hidden) + linear(hidden, hidden);
  const guidance = reader.flag("guidance_embeds", false) ? timeMlp : 0;
  const pooledText = linear(reader.count("pooled_projection_dim"), hidden) + linear(hidden, hidden);
  const inputs = linear(channels, hidden) + linear(reader.count("joint_attention_dim"), hidden);
  const output = linear(hidden, 2 * hidden) + linear(hidden, patch * patch * reader.count("out_channels", channels));
  return inputs + timeMlp + guidance + pooledText + output;
}

export const diffusionFamilies: Readonly<Record<string, Importer>> = { FluxTransformer2DModel: flux };
