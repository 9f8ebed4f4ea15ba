// A model described in a few short fields, as users' YAML and tables of measurements write it:
// `{name, layers, hidden, heads, kv_heads, head_dim, ffn, ffn_gated, vocab, tied, ...}`. What is not stated follows
// documented rules, and each rule that was used leaves a note:
//   - norms, biases, positions: a gated feed-forward part means LLaMA's body (RMSNorm, rope, no biases); squared ReLU means
//     Nemotron's (LayerNorm, rope, no biases); otherwise GPT's (LayerNorm, biases, learned positions);
//   - `pos: alibi` is BLOOM's body (biases, a LayerNorm after the embedding);
//   - `vocab: null` is GPT-2's 50,257 padded to 50,304, a multiple of 128 (arXiv 1909.08053, section 4.1);
//   - `hybrid_pattern` is Nemotron-H's body (RMSNorm, no positions, squared ReLU, one branch a layer);
//   - `mla: true` takes the defaults of Megatron-LM's command line: full q projection, kv rank 32, 128 + 64, v 128.

import { InputError } from "../units/errors.ts";
import { ConfigReader, isRecord } from "./configReader.ts";
import { inlineMamba, patternLayers } from "./hybridPattern.ts";
import { plainAttention } from "./importers/decoder.ts";
import { internLayers } from "./internLayers.ts";
import type { AttentionSpec, FfnSpec, LayerSpec, MlaSpec, ModelSpec, MoeFfnSpec } from "./types.ts";

export interface InlineOptions {
  readonly name?: string;
  /** Sequence length of the run: rows of a learned position table when the description states none. */
  readonly seqLen?: number;
}

const paddedGpt2Vocab = 50_304;

/** Imports an inline description; throws InputError with all findings. */
export function importInline(description: unknown, options: InlineOptions = {}): ModelSpec {
  if (!isRecord(description)) {
    throw new InputError({
      path: "model",
      message: "An inline model must be an object",
      hint: "give layers, hidden, heads, ffn, vocab",
    });
  }
  const reader = new ConfigReader(description, "model");
  const model = readInline(reader, options);
  reader.refuseMisspelled(ignoredKeys);
  reader.finish();
  return { ...model, notes: reader.notes };
}

/** Facts about a model that carry no shape. */
const ignoredKeys = ["name", "params_reported", "note", "family", "description", "source", "active_params_reported"];

interface Body {
  readonly norm: "rmsnorm" | "layernorm";
  readonly bias: boolean;
  readonly position: ModelSpec["position"];
}

function readInline(reader: ConfigReader, options: InlineOptions): ModelSpec {
  const hidden = reader.count("hidden");
  const numLayers = reader.layerCount("layers");
  const gated = reader.flag("ffn_gated", true);
  const pattern = reader.text("hybrid_pattern", "");
  const body = readBody(reader, { gated, hybrid: pattern !== "" });
  const tied = reader.flag("tied", !gated && body.norm === "layernorm" && body.bias);
  const vocab = reader.has("vocab") ? reader.count("vocab") : paddedGpt2Vocab;
  if (!reader.has("vocab"))
    reader.note(`vocab not stated: ${paddedGpt2Vocab} (GPT-2's 50,257 padded to a multiple of 128)`);
  const learnedRows = reader.count("max_seq_len", options.seqLen ?? 2048);
  if (body.position === "learned" && !reader.has("max_seq_len")) {
    reader.note(
      `learned positions: ${learnedRows} rows (${options.seqLen === undefined ? "default" : "the run's sequence length"})`,
    );
  }
  const norm = { norm: body.norm, normBias: body.norm === "layernorm" } as const;
  const mixerOf = readMixer(reader, { hidden, numLayers, body });
  const ffn = readFfn(reader, { numLayers, gated, bias: body.bias, hybrid: pattern !== "" });
  const plain = { ...norm, normsPerBranch: 1, parallelResidual: false, extraParams: 0 };
  const perLayer: readonly LayerSpec[] =
    pattern !== ""
      ? patternLayers(reader, "hybrid_pattern", {
          pattern,
          numLayers,
          plain,
          mamba: () => inlineMamba(reader, hidden),
          attention: () => mixerOf(0),
          dense: () => ffn.dense,
          moe: () => ffn.moe ?? ffn.dense,
        })
      : Array.from({ length: numLayers }, (_, i) => ({ mixer: mixerOf(i), ffn: ffn.byLayer(i), ...plain }));
  return {
    name: options.name ?? reader.text("name", "inline model"),
    family: "inline",
    hidden,
    vocab,
    tiedEmbeddings: tied,
    lmHeadBias: false,
    learnedPositions: body.position === "learned" ? learnedRows : 0,
    position: body.position,
    embeddingNorm: reader.flag("embedding_norm", body.position === "alibi" && body.bias),
    finalNorm: body.norm,
    finalNormBias: body.norm === "layernorm",
    maxSeqLen: learnedRows,
    ...internLayers(perLayer),
    mtpLayers: reader.size("mtp_layers", 0),
    hasLmHead: true,
    extraParams: 0,
    notes: [],
  };
}

function readBody(reader: ConfigReader, p: { gated: boolean; hybrid: boolean }): Body {
  const squaredRelu = reader.flag("squared_relu", false);
  const gptLike = !p.gated && !squaredRelu && !p.hybrid;
  const guessed = p.hybrid ? "none" : gptLike ? "learned" : "rope";
  const stated = reader.text("pos", guessed);
  const known = ["rope", "learned", "alibi", "relative", "none"] as const;
  const position = known.find((kind) => kind === stated);
  if (position === undefined) reader.find("pos", `Unknown position kind "${stated}"`, `use one of ${known.join(", ")}`);
  if (!reader.has("pos")) reader.note(`positions not stated: ${guessed}, after the feed-forward part's kind`);
  return {
    norm: p.gated || p.hybrid ? "rmsnorm" : "layernorm",
    bias: reader.flag("bias", gptLike),
    position: position ?? "rope",
  };
}

function readMixer(
  reader: ConfigReader,
  p: { hidden: number; numLayers: number; body: Body },
): (i: number) => AttentionSpec | MlaSpec {
  const heads = reader.count("heads");
  const kvHeads = reader.count("kv_heads", heads);
  if (!reader.has("head_dim")) {
    reader.divides({ key: "heads", value: heads }, { key: "hidden", value: p.hidden }, `or state "head_dim"`);
  }
  const headDim = reader.count("head_dim", Math.max(1, Math.floor(p.hidden / heads)));
  reader.divides({ key: "kv_heads", value: kvHeads }, { key: "heads", value: heads });
  const mla = readMla(reader, heads);
  if (mla !== null) return () => mla;
  const attention: AttentionSpec = {
    ...plainAttention({ heads, kvHeads, headDim }),
    qkvBias: reader.flag("qkv_bias", p.body.bias),
    outBias: p.body.bias,
    qkNorm: reader.flag("qk_norm", false) ? "perHead" : "none",
    rope: p.body.position === "rope",
  };
  const window = reader.size("sliding_window", 0);
  const slidingLayers = reader.size("sliding_window_layers", window > 0 ? p.numLayers : 0);
  // Sliding layers are spread evenly, the first one slides: 18 of 36 is every other layer (gpt-oss).
  return (i) => ({ ...attention, window: spreadEvenly(i, slidingLayers, p.numLayers) ? window : 0 });
}

/** True for `count` of `total` positions, evenly spread from the first on. */
function spreadEvenly(index: number, count: number, total: number): boolean {
  return Math.ceil(((index + 1) * count) / total) > Math.ceil((index * count) / total);
}

function readMla(reader: ConfigReader, heads: number): MlaSpec | null {
  if (typeof reader.value("mla") === "boolean") {
    if (!reader.flag("mla", false)) return null;
    reader.note("mla sizes not stated: Megatron-LM's defaults (full q, kv rank 32, nope 128, rope 64, v 128)");
    return mlaOf(heads, { qLora: 0, kvLora: 32, nope: 128, rope: 64, value: 128 });
  }
  const sizes = reader.child("mla");
  if (sizes === null) return null;
  const nope = sizes.count(["qk_nope", "qk_nope_head_dim"]);
  return mlaOf(heads, {
    qLora: sizes.optionalSize(["q_lora", "q_lora_rank"]) ?? 0,
    kvLora: sizes.count(["kv_lora", "kv_lora_rank"]),
    nope,
    rope: sizes.size(["qk_rope", "qk_rope_head_dim"]),
    value: sizes.count(["v_dim", "v_head_dim"], nope),
  });
}

function mlaOf(
  heads: number,
  d: { qLora: number; kvLora: number; nope: number; rope: number; value: number },
): MlaSpec {
  return {
    kind: "mla",
    heads,
    qLoraRank: d.qLora === 0 ? null : d.qLora,
    kvLoraRank: d.kvLora,
    qkNopeHeadDim: d.nope,
    qkRopeHeadDim: d.rope,
    vHeadDim: d.value,
    extraParams: 0,
    sparseTopk: 0,
  };
}

interface InlineFfn {
  readonly dense: FfnSpec;
  readonly moe: FfnSpec | null;
  readonly byLayer: (i: number) => FfnSpec;
}

function readFfn(
  reader: ConfigReader,
  p: { numLayers: number; gated: boolean; bias: boolean; hybrid: boolean },
): InlineFfn {
  const relu2 = reader.flag("squared_relu", p.hybrid && !p.gated);
  const common = { gated: p.gated, bias: p.bias, activation: relu2 ? "relu2" : p.gated ? "silu" : "gelu" } as const;
  const experts = reader.size("experts", 0);
  // Models whose every layer is a mixture may leave out the dense width.
  const inner = reader.has("ffn") || experts === 0 ? reader.count("ffn") : 0;
  const dense: FfnSpec = { kind: "dense", inner, ...common };
  const moe = experts === 0 ? null : readExperts(reader, { experts, denseInner: inner, common });
  const denseLayers = reader.size("dense_layers", 0);
  if (denseLayers > p.numLayers && !reader.refused("layers")) {
    reader.find("dense_layers", `"dense_layers" ${denseLayers} exceeds "layers" ${p.numLayers}`);
  }
  if (denseLayers > 0 && inner === 0) reader.count("ffn");
  // A few dense layers come first (DeepSeek); half of all layers alternate, dense first (Llama 4 Maverick).
  const alternate = moe !== null && denseLayers > 1 && denseLayers * 2 === p.numLayers;
  if (alternate) reader.note("half of the layers are dense: taken as alternating, dense first");
  const isDense = (i: number): boolean => (alternate ? i % 2 === 0 : i < denseLayers);
  return { dense, moe, byLayer: (i) => (moe === null || isDense(i) ? dense : moe) };
}

function readExperts(
  reader: ConfigReader,
  p: { experts: number; denseInner: number; common: Pick<MoeFfnSpec, "gated" | "bias" | "activation"> },
): MoeFfnSpec {
  const inner = reader.count("moe_ffn", p.denseInner > 0 ? p.denseInner : undefined);
  const topk = reader.count("topk");
  if (topk > p.experts && !reader.refused("experts")) {
    reader.find("topk", `A token cannot use ${topk} of ${p.experts} experts`, `use at most ${p.experts}`);
  }
  const numShared = reader.size("shared_experts", 0);
  return {
    kind: "moe",
    experts: p.experts,
    topk,
    inner,
    ...p.common,
    // `shared_ffn` is the width of all shared experts together; without it each is as wide as a routed one.
    sharedInner: reader.size("shared_ffn", numShared * inner),
    sharedGate: false,
    routerBias: false,
    extraParams: 0,
  };
}
