// DeepSeek: mixtures with shared experts, and multi-head latent attention (MLA) from V2 on.
// Sources: arXiv 2401.06066 (MoE), 2405.04434 (V2, MLA), 2412.19437 (V3), the published V3.2 and V4 modelling code.

import type { ConfigReader } from "../configReader.ts";
import type { MlaSpec } from "../types.ts";
import { type DecoderTraits, type Dims, decoder, denseFfn, type Importer } from "./decoder.ts";
import { deepseekMoe, denseFirst } from "./moe.ts";
import { multimodal } from "./multimodal.ts";
import { moonVitParameters } from "./vision.ts";

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
function indexerParameters(reader: ConfigReader, p: { hidden: number; qLoraRank: number }): number {
  const heads = reader.count("index_n_heads");
  const headDim = reader.count("index_head_dim");
  return p.qLoraRank * heads * headDim + p.hidden * headDim + 2 * headDim + p.hidden * heads;
}

const v3Traits = {
  tied: false,
  // Every head has its own key and value, whatever `num_key_value_heads` repeats.
  dims: mlaDims,
  mixer: (r, d) => {
    const mla = mlaMixer(r, d);
    return () => mla;
  },
  ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  model: mtpNote,
} satisfies DecoderTraits;

function mlaDims(reader: ConfigReader): Partial<Dims> {
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

/** V3.2 and GLM-5: MLA that reads the keys an indexer picks; layers marked "shared" reuse the picks of an earlier layer. */
const sparseTraits: DecoderTraits = {
  ...v3Traits,
  mixer: (r, d) => {
    const mla = mlaMixer(r, d);
    const indexer = indexerParameters(r, { hidden: d.hidden, qLoraRank: mla.qLoraRank ?? d.hidden });
    const sparse: MlaSpec = { ...mla, sparseTopk: r.count("index_topk") };
    const sharedOf = sharedIndexers(r, d);
    return (i) => (sharedOf(i) ? sparse : { ...sparse, extraParams: mla.extraParams + indexer });
  },
};

function sharedIndexers(reader: ConfigReader, dims: Dims): (i: number) => boolean {
  const types = reader.list("indexer_types", dims.numLayers);
  if (types !== null) return (i) => types[i] === "shared";
  const pattern = reader.text("index_topk_pattern", "");
  if (pattern !== "") return (i) => pattern[i] === "S";
  const frequency = reader.count("index_topk_freq", 1);
  const offset = reader.size("index_skip_topk_offset", 2);
  return (i) => Math.max(i - offset + 1, 0) % frequency !== 0;
}

/**
 * V4: one shared key-value head, a grouped low-rank output, hyper-connections between streams; `compress_ratios` says by
 * layer whether a compressor (128 tokens to one, or 4 to one with an indexer) stands beside the sliding window.
 */
const v4Traits: DecoderTraits = {
  tied: false,
  dims: (r) => ({ kvHeads: 1, headDim: r.count("head_dim") }),
  mixer: (r, d) => {
    const ratios = r.list("compress_ratios", d.numLayers) ?? [];
    const qLoraRank = r.count("q_lora_rank");
    const rope = r.count("qk_rope_head_dim");
    const base: MlaSpec = {
      kind: "mla",
      heads: d.heads,
      qLoraRank,
      kvLoraRank: Math.max(1, d.headDim - rope),
      qkNopeHeadDim: Math.max(1, d.headDim - rope),
      qkRopeHeadDim: rope,
      vHeadDim: d.headDim,
      extraParams: d.heads, // attention sinks
      sparseTopk: 0,
    };
    const output = { groups: r.count("o_groups"), rank: r.count("o_lora_rank") };
    const withCache = (tokensPerEntry: number) => ({ sharedKv: { ...output, tokensPerEntry } });
    const window = r.size("sliding_window", 128);
    const topk = r.count("index_topk");
    const indexDim = r.count("index_head_dim");
    const indexHeads = r.count("index_n_heads");
    const compressor = (rate: number, width: number, overlap: number) =>
      2 * d.hidden * overlap * width + rate * overlap * width + width;
    const indexer = compressor(4, indexDim, 2) + qLoraRank * indexHeads * indexDim + d.hidden * indexHeads;
    return (i) => {
      if (ratios[i] === 4) {
        const extraParams = d.heads + compressor(4, d.headDim, 2) + indexer;
        return { ...base, ...withCache(4), extraParams, sparseTopk: window + topk };
      }
      if (ratios[i] === 0) return { ...base, ...withCache(0), sparseTopk: window };
      const rate = typeof ratios[i] === "number" ? ratios[i] : 128;
      const extraParams = d.heads + compressor(rate, d.headDim, 1);
      return { ...base, ...withCache(rate), extraParams, sparseTopk: window + Math.ceil(d.maxSeqLen / rate) };
    };
  },
  ffn: (r) => {
    const moe = deepseekMoe(r);
    return () => moe;
  },
  layer: (r, d) => {
    const streams = r.count("hc_mult", 4);
    const mix = (2 + streams) * streams;
    return { extraParams: 2 * (mix * streams * d.hidden + mix + 3) };
  },
  model: (r, d) => {
    const streams = r.count("hc_mult", 4);
    mtpNote(r);
    return {
      extraParams: streams * streams * d.hidden + streams + 1,
      extraNote: "collapse of the hyper-connection streams",
    };
  },
};

export const deepseekFamilies: Readonly<Record<string, Importer>> = {
  // DeepSeek-MoE-16B: ordinary attention.
  deepseek: decoder({
    tied: false,
    ffn: (r, d) => denseFirst(r, { dense: () => denseFfn(r), moe: deepseekMoe(r), numLayers: d.numLayers }),
  }),
  deepseek_v2: decoder(v3Traits),
  deepseek_v3: decoder(v3Traits),
  kimi_k2: decoder(v3Traits),
  deepseek_v32: decoder(sparseTraits),
  deepseek_v4: decoder(v4Traits),
  glm_moe_dsa: decoder(sparseTraits),
  glm4_moe_lite: decoder(v3Traits),
  kimi_k25: multimodal(decoder(v3Traits), moonVitParameters),
  kimi_vl: multimodal(decoder(v3Traits), moonVitParameters),
  // MLA around a dense feed-forward part.
  minicpm3: decoder({ tied: false, dims: mlaDims, mixer: v3Traits.mixer }),
};
