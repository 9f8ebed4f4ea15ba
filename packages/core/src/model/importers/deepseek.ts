// DeepSeek: mixtures with shared experts, and multi-head latent attention (MLA) from V2 on.
// Sources: arXiv 2401.06066 (MoE), 2405.04434 (V2, MLA), 2412.19437 (V3), the published V3.2 and V4 modelling code.

import type { ConfigReader } from "../configReader.ts";
import type { MlaSpec } from "../types.ts";
import { type DecoderTraits, type Dims, decoder, denseFfn, type Importer } from "./decoder.ts";
import { deepseekMoe, denseFirst } from "./moe.ts";

/** MLA's keys. Biases, where a config has them, sit on the down projections and on the output. */
export function mlaMixer(reader: ConfigReader, dims: Dims): MlaSpec {
  const qkNopeHeadDim = reader.count("qk_nope_head_dim");
  const qLoraRank = reader.optionalSize("q_lora_rank");
  const kvLoraRank = reader.count("kv_lora_rank");
  const qkRopeHeadDim = reader.count("qk_rope_head_dim");
  const bias = reader.flag("attention_bias", false);
  return {
    kind: "mla",
    heads: dims.heads,
    qLoraRank: qLoraRank === 0 ? null : qLoraRank,
    kvLoraRank,
    qkNopeHeadDim,
    qkRopeHeadDim,
    vHeadDim: reader.count("v_head_dim", qkNopeHeadDim),
    extraParams: bias ? (qLoraRank ?? 0) + kvLoraRank + qkRopeHeadDim + dims.hidden : 0,
    sparseTopk: 0,
  };
}

/**
 * Parameters of V3.2's lightning indexer: queries from q's latent, one key head with a LayerNorm, a weight per head.
 */
export function indexerParameters(reader: ConfigReader, p: { hidden: number; qLoraRank: number }): number {
  const heads = reader.count("index_n_heads");
  const headDim = reader.count("index_head_dim");
  return p.qLoraRank * heads * headDim + p.hidden * headDim + 2 * headDim + p.hidden * heads;
}

const v3Traits: DecoderTraits = {
  tied: false,
  // Every head has its own key and value, whatever `num_key_value_heads` repeats.
  dims: mlaDims,
  mixer: (r, d) => {
    const mla = mlaMixer(r, d);
    return () => mla;
  },
  ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  model: mtpNote,
};

export function mlaDims(reader: ConfigReader): Partial<Dims> {
  const heads = reader.count("num_attention_heads");
  return { heads, kvHeads: heads, headDim: reader.count("qk_nope_head_dim") + reader.count("qk_rope_head_dim") };
}

/** Checkpoints may hold prediction modules; the plain model has none, so they are noted and not counted. */
export function mtpNote(reader: ConfigReader): Record<string, never> {
  const modules = reader.size(["num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"], 0);
  if (modules > 0)
    reader.note(`${modules} multi-token-prediction module(s) in the checkpoint are not part of the plain model`);
  return {};
}

export const deepseekFamilies: Readonly<Record<string, Importer>> = {
  // DeepSeek-MoE-16B: ordinary attention.
  deepseek: decoder({
    tied: false,
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  }),
  deepseek_v2: decoder(v3Traits),
  deepseek_v3: decoder(v3Traits),
  kimi_k2: decoder(v3Traits),
};
