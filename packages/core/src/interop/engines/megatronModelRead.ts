// Megatron-LM's flags as an inline model description.

import type { Section } from "./contract.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import { readListPattern } from "./listPattern.ts";

/** The model that the flags describe, for `model:` of a spec; nothing when the size is not stated. */
export function readModel(flags: FlagReader, out: ImportBuilder): Section | null {
  const layers = flags.count("num-layers");
  const hidden = flags.count("hidden-size");
  const heads = flags.count("num-attention-heads");
  if (layers === undefined || hidden === undefined || heads === undefined) return null;
  const gated = flags.has("swiglu") || flags.has("quick-geglu");
  const ffn = flags.count("ffn-hidden-size") ?? (gated ? Math.floor((8 * hidden) / 3 / 64) * 64 : 4 * hidden);
  const position =
    flags.text("position-embedding-type") ??
    (flags.has("use-rotary-position-embeddings") ? "rope" : "learned_absolute");
  const vocab = readVocab(flags);
  const bias = !flags.has("disable-bias-linear");
  const pattern = flags.text("hybrid-layer-pattern") ?? flags.text("hybrid-override-pattern");
  const experts = flags.count("num-experts", 0) ?? 0;
  return {
    layers,
    hidden,
    heads,
    ...(flags.has("group-query-attention") ? { kv_heads: flags.count("num-query-groups") ?? 1 } : {}),
    head_dim: flags.count("kv-channels") ?? Math.max(1, Math.floor(hidden / heads)),
    ffn,
    ffn_gated: gated,
    ...(flags.has("squared-relu") ? { squared_relu: true } : {}),
    ...(vocab === undefined ? {} : { vocab }),
    tied: !flags.has("untie-embeddings-and-output-weights"),
    pos: position === "learned_absolute" ? "learned" : position === "mrope" ? "rope" : position,
    ...(pattern === undefined ? { bias, qkv_bias: bias || flags.has("add-qkv-bias") } : {}),
    ...(flags.has("qk-layernorm") ? { qk_norm: true } : {}),
    ...readWindow(flags, layers, out),
    ...readMla(flags),
    ...(experts > 0 ? readExperts(flags, { layers, experts, isHybrid: pattern !== undefined }, out) : {}),
    ...(pattern === undefined ? {} : readHybrid(flags, pattern)),
    ...(flags.has("mtp-num-layers") ? { mtp_layers: flags.count("mtp-num-layers", 0) ?? 0 } : {}),
    ...(flags.has("max-position-embeddings") ? { max_seq_len: flags.count("max-position-embeddings") } : {}),
  };
}

/** A NullTokenizer counts the end of a document beside --vocab-size. */
export function readVocab(flags: FlagReader): number | undefined {
  const size = flags.count("vocab-size");
  if (size === undefined) return flags.count("padded-vocab-size");
  return flags.text("tokenizer-type") === "NullTokenizer" ? size + 1 : size;
}

function readWindow(flags: FlagReader, layers: number, out: ImportBuilder): Section {
  const text = flags.text("window-size");
  if (text === undefined) return {};
  const before = Number(text.replace(/[()]/g, "").split(",")[0]);
  if (!Number.isSafeInteger(before) || before < 0) {
    out.error(flags.place("window-size"), `--window-size needs two numbers such as 127,0, got "${text}"`);
    return {};
  }
  const skip = flags.text("window-attn-skip-freq");
  if (skip === undefined) return { sliding_window: before + 1 };
  const slides = /^\d+$/.test(skip)
    ? Array.from({ length: Math.min(layers, 100_000) }, (_, i) => ((i + 1) % Number(skip) === 0 ? 0 : 1))
    : readListPattern(skip, layers);
  if (slides === null) {
    out.warn(
      flags.place("window-attn-skip-freq"),
      `Cannot read the pattern "${skip}" for ${layers} layers: all layers are taken as sliding`,
    );
    return { sliding_window: before + 1 };
  }
  return { sliding_window: before + 1, sliding_window_layers: slides.filter((slide) => slide !== 0).length };
}

function readMla(flags: FlagReader): Section {
  if (!flags.has("multi-latent-attention")) return {};
  return {
    mla: {
      ...(flags.has("q-lora-rank") ? { q_lora: flags.count("q-lora-rank") } : {}),
      kv_lora: flags.count("kv-lora-rank") ?? 32,
      qk_nope: flags.count("qk-head-dim") ?? 128,
      qk_rope: flags.count("qk-pos-emb-head-dim") ?? 64,
      v_dim: flags.count("v-head-dim") ?? 128,
    },
  };
}

function readExperts(
  flags: FlagReader,
  p: { readonly layers: number; readonly experts: number; readonly isHybrid: boolean },
  out: ImportBuilder,
): Section {
  const freq = p.isHybrid ? undefined : flags.text("moe-layer-freq");
  let denseLayers = 0;
  if (freq !== undefined) {
    const isMoe = readListPattern(freq, p.layers);
    if (isMoe === null)
      out.error(
        flags.place("moe-layer-freq"),
        `Cannot read the pattern "${freq}" for ${p.layers} layers`,
        "write it like ([0]*3+[1]*58), one number a layer",
      );
    else {
      denseLayers = isMoe.filter((each) => each === 0).length;
      const first = isMoe.indexOf(1);
      if (denseLayers > 0 && first !== denseLayers && !(denseLayers * 2 === p.layers && first === 1))
        out.warn(
          flags.place("moe-layer-freq"),
          `${denseLayers} dense layers of the pattern are priced as if they came first`,
        );
    }
  }
  return {
    experts: p.experts,
    topk: flags.count("moe-router-topk") ?? 2,
    ...(flags.has("moe-ffn-hidden-size") ? { moe_ffn: flags.count("moe-ffn-hidden-size") } : {}),
    ...(flags.has("moe-shared-expert-intermediate-size")
      ? { shared_ffn: flags.count("moe-shared-expert-intermediate-size") }
      : {}),
    ...(denseLayers > 0 ? { dense_layers: denseLayers } : {}),
  };
}

function readHybrid(flags: FlagReader, pattern: string): Section {
  return {
    hybrid_pattern: pattern,
    mamba_heads: flags.count("mamba-num-heads"),
    mamba_head_dim: flags.count("mamba-head-dim") ?? 64,
    mamba_state: flags.count("mamba-state-dim") ?? 128,
    mamba_groups: flags.count("mamba-num-groups") ?? 8,
  };
}
