// Gemma 1 to 4: GeGLU, tied head, wide heads. Gemma 2 puts norms before and after each branch, Gemma 3 adds q and k
// norms, Gemma 4 varies heads by layer type and may run a mixture beside the dense part.
// Sources: arXiv 2403.08295, 2408.00118, 2503.19786 and the published Gemma 3n/4 modelling code.

import type { ConfigReader } from "../configReader.ts";
import type { AttentionSpec, FfnSpec, LayerSpec } from "../types.ts";
import {
  type ByLayer,
  type DecoderTraits,
  type Dims,
  decoder,
  denseFfn,
  type Importer,
  layerTypesWindow,
} from "./decoder.ts";
import { moeFfn } from "./moe.ts";
import { multimodal } from "./multimodal.ts";
import { gemma4VisionParameters, siglipParameters } from "./vision.ts";

const geglu = (reader: ConfigReader) => denseFfn(reader, { gated: true, bias: false, activation: "gelu" });

/** Every `pattern`-th layer attends to everything, the others slide. */
function patternWindow(reader: ConfigReader, dims: Dims, p: { pattern: number; window: number }): ByLayer<number> {
  if (reader.has("layer_types")) return layerTypesWindow(reader, dims);
  const window = reader.optionalSize("sliding_window") ?? p.window;
  const pattern = reader.count(["sliding_window_pattern", "_sliding_window_pattern"], p.pattern);
  return (i) => ((i + 1) % pattern === 0 ? 0 : window);
}

const gemma3Text: DecoderTraits = {
  tied: true,
  kvHeads: 4,
  headDim: 256,
  // Published Gemma 3 configs leave these to the class.
  dims: (r) => ({
    vocab: r.count("vocab_size", 262_208),
    heads: r.count("num_attention_heads", 8),
    maxSeqLen: r.count("max_position_embeddings", 131_072),
  }),
  attention: () => ({ qkNorm: "perHead" }),
  window: (r, d) => patternWindow(r, d, { pattern: 6, window: 4096 }),
  ffn: geglu,
  layer: () => ({ normsPerBranch: 2 }),
};

const gemma4Text: DecoderTraits = {
  tied: true,
  headDim: 256,
  attention: () => ({ qkNorm: "perHead" }),
  mixer: gemma4Attention,
  ffn: gemma4Ffn,
  layer: (r, d) => {
    const perLayer = r.size("hidden_size_per_layer_input", 0);
    const perLayerParams = perLayer > 0 ? 2 * d.hidden * perLayer + d.hidden : 0;
    // The mixture beside the dense part brings three more norms.
    const moeNorms = r.flag("enable_moe_block", false) ? 3 * d.hidden : 0;
    return { normsPerBranch: 2, extraParams: perLayerParams + moeNorms } satisfies Partial<LayerSpec>;
  },
  model: (r, d) => {
    const perLayer = r.size("hidden_size_per_layer_input", 0);
    if (perLayer === 0) return {};
    const rows = r.count("vocab_size_per_layer_input", d.vocab);
    return {
      extraParams: rows * d.numLayers * perLayer + d.hidden * d.numLayers * perLayer + perLayer,
      extraNote: "embeddings of every layer's own input and their projection",
    };
  },
};

function gemma4Attention(reader: ConfigReader, dims: Dims, attention: ByLayer<AttentionSpec>): ByLayer<AttentionSpec> {
  const globalHeadDim = reader.count("global_head_dim", dims.headDim);
  const globalKvHeads = reader.count("num_global_key_value_heads", dims.kvHeads);
  const valueIsKey = reader.flag("attention_k_eq_v", false);
  const numShared = reader.size("num_kv_shared_layers", 0);
  return (i) => {
    const base = attention(i);
    const kvShared = numShared > 0 && i >= dims.numLayers - numShared ? { kvShared: true } : {};
    if (base.window > 0) return { ...base, ...kvShared };
    const kvHeads = valueIsKey ? globalKvHeads : dims.kvHeads;
    return {
      ...base,
      kvHeads,
      headDim: globalHeadDim,
      vHeadDim: globalHeadDim,
      ...(valueIsKey ? { valueIsKey } : {}),
      ...kvShared,
    };
  };
}

function gemma4Ffn(reader: ConfigReader, dims: Dims): ByLayer<FfnSpec> {
  const dense = denseFfn(reader, { gated: true, bias: false, activation: "gelu" });
  if (reader.flag("enable_moe_block", false)) {
    const moe = moeFfn(reader, {
      inner: reader.count(["moe_intermediate_size", "expert_intermediate_size"]),
      sharedInner: reader.count("intermediate_size"),
      activation: "gelu",
    });
    const ffn = { ...moe, extraParams: dims.hidden + moe.experts };
    return () => ffn;
  }
  const numShared = reader.size("num_kv_shared_layers", 0);
  const doubleWide = reader.flag("use_double_wide_mlp", false) && numShared > 0;
  if (!doubleWide) return dense;
  const wide = denseFfn(reader, {
    gated: true,
    bias: false,
    activation: "gelu",
    inner: 2 * reader.count("intermediate_size"),
  });
  return (i) => (i >= dims.numLayers - numShared ? wide(i) : dense(i));
}

/** Vision features become soft tokens: a projection and a norm. */
const gemma3Vision = (vision: ConfigReader, textHidden: number): number => {
  const width = vision.count("hidden_size");
  return siglipParameters(vision, { head: false }) + width * textHidden + width;
};

export const gemmaFamilies: Readonly<Record<string, Importer>> = {
  gemma: decoder({ tied: true, kvHeads: 16, headDim: 256, ffn: geglu }),
  gemma2: decoder({
    tied: true,
    kvHeads: 4,
    headDim: 256,
    ffn: geglu,
    window: (r, d) => patternWindow(r, d, { pattern: 2, window: 4096 }),
    layer: () => ({ normsPerBranch: 2 }),
  }),
  gemma3_text: decoder(gemma3Text),
  gemma3: multimodal(decoder(gemma3Text), gemma3Vision),
  gemma4_text: decoder(gemma4Text),
  gemma4: multimodal(decoder(gemma4Text), gemma4VisionParameters),
};
