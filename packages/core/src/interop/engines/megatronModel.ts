// A model as Megatron-LM's flags, and flags as an inline model description. What flags cannot describe is refused before
// (parallel/software/engines/megatron.ts).

import type {
  AttentionSpec,
  DenseFfnSpec,
  LayerSpec,
  MlaSpec,
  ModelSpec,
  MoeFfnSpec,
  SsmSpec,
} from "../../model/types.ts";
import type { Section } from "./contract.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";

/** An option without its dashes, and its values. */
export type Argument = readonly [string, ...string[]];

interface Parts {
  readonly attention: AttentionSpec | undefined;
  readonly mla: MlaSpec | undefined;
  readonly ssm: SsmSpec | undefined;
  readonly dense: DenseFfnSpec | undefined;
  readonly moe: MoeFfnSpec | undefined;
}

function partsOf(model: ModelSpec): Parts {
  const mixers = model.layerKinds.map(({ mixer }) => mixer);
  const ffns = model.layerKinds.map(({ ffn }) => ffn);
  return {
    attention: mixers.find((mixer) => mixer.kind === "attention"),
    mla: mixers.find((mixer) => mixer.kind === "mla"),
    ssm: mixers.find((mixer) => mixer.kind === "ssm"),
    dense: ffns.find((ffn) => ffn.kind === "dense"),
    moe: ffns.find((ffn) => ffn.kind === "moe"),
  };
}

/** Layers of one branch each (Nemotron-H): `--hybrid-layer-pattern` and pretrain_hybrid.py. */
export function isHybrid(model: ModelSpec): boolean {
  return model.layerKinds.some(
    ({ mixer, ffn }) => mixer.kind === "ssm" || mixer.kind === "none" || ffn.kind === "none",
  );
}

export function layerLetter({ mixer, ffn }: LayerSpec): string {
  if (mixer.kind === "ssm") return "M";
  if (mixer.kind !== "none") return "*";
  return ffn.kind === "moe" ? "E" : "-";
}

/** @param maxPositions rows of the position table or longest sequence. */
export function modelArguments(model: ModelSpec, maxPositions: number): readonly Argument[] {
  const parts = partsOf(model);
  const { attention, mla, ssm, dense, moe } = parts;
  const ffn = dense ?? moe;
  const heads = attention?.heads ?? mla?.heads ?? ssm?.heads ?? 1;
  const args: Argument[] = [
    ["num-layers", String(model.layers.length)],
    ["hidden-size", String(model.hidden)],
    ["num-attention-heads", String(heads)],
  ];
  if (ffn !== undefined) args.push(["ffn-hidden-size", String(ffn.inner)]);
  if (attention !== undefined) args.push(...attentionArguments(model, attention));
  if (mla !== undefined) args.push(...mlaArguments(mla));
  args.push(...bodyArguments(model, parts));
  if (moe !== undefined) args.push(...moeArguments(model, moe));
  if (ssm !== undefined)
    args.push(
      ["mamba-num-heads", String(ssm.heads)],
      ["mamba-head-dim", String(ssm.headDim)],
      ["mamba-state-dim", String(ssm.stateDim)],
      ["mamba-num-groups", String(ssm.groups)],
    );
  if (model.mtpLayers > 0) args.push(["mtp-num-layers", String(model.mtpLayers)]);
  args.push(["max-position-embeddings", String(maxPositions)]);
  return args;
}

function attentionArguments(model: ModelSpec, attention: AttentionSpec): readonly Argument[] {
  const args: Argument[] = [["kv-channels", String(attention.headDim)]];
  if (attention.kvHeads !== attention.heads)
    args.push(["group-query-attention"], ["num-query-groups", String(attention.kvHeads)]);
  if (attention.qkNorm === "perHead") args.push(["qk-layernorm"]);
  if (attention.outputGate === true) args.push(["attention-output-gate"]);
  const windows = model.layers.map((kind) => windowOf(model.layerKinds[kind]!));
  const widest = Math.max(...windows);
  if (widest > 0) {
    // Tokens before and after that a token sees, itself apart.
    args.push(["window-size", `${widest - 1},0`]);
    if (windows.includes(0))
      args.push(["window-attn-skip-freq", listPattern(windows.map((window) => (window > 0 ? 1 : 0)))]);
  }
  return args;
}

function windowOf({ mixer }: LayerSpec): number {
  return mixer.kind === "attention" ? mixer.window : 0;
}

function mlaArguments(mla: MlaSpec): readonly Argument[] {
  return [
    ["multi-latent-attention"],
    ...(mla.qLoraRank === null ? [] : ([["q-lora-rank", String(mla.qLoraRank)]] as const)),
    ["kv-lora-rank", String(mla.kvLoraRank)],
    ["qk-head-dim", String(mla.qkNopeHeadDim)],
    ["qk-pos-emb-head-dim", String(mla.qkRopeHeadDim)],
    ["v-head-dim", String(mla.vHeadDim)],
  ];
}

function bodyArguments(model: ModelSpec, { attention, dense, moe }: Parts): readonly Argument[] {
  const ffn = dense ?? moe;
  const args: Argument[] = [];
  if (ffn?.gated === true) args.push([ffn.activation === "quick_gelu" ? "quick-geglu" : "swiglu"]);
  else if (ffn?.activation === "relu2") args.push(["squared-relu"]);
  if (model.finalNorm === "rmsnorm") args.push(["normalization", "RMSNorm"]);
  if (model.position !== "learned") {
    args.push(["position-embedding-type", model.position === "rope" ? "rope" : "none"]);
    if (attention !== undefined && attention.rope && attention.ropeFrac < 1)
      args.push(["rotary-percent", String(attention.ropeFrac)]);
  }
  if (ffn?.bias !== true) {
    args.push(["disable-bias-linear"]);
    if (attention?.qkvBias === true) args.push(["add-qkv-bias"]);
  }
  if (!model.tiedEmbeddings) args.push(["untie-embeddings-and-output-weights"]);
  return args;
}

function moeArguments(model: ModelSpec, moe: MoeFfnSpec): readonly Argument[] {
  const isMoe = model.layers.map((kind) => (model.layerKinds[kind]!.ffn.kind === "moe" ? 1 : 0));
  const args: Argument[] = [
    ["num-experts", String(moe.experts)],
    ["moe-router-topk", String(moe.topk)],
    ["moe-ffn-hidden-size", String(moe.inner)],
  ];
  if (!isHybrid(model) && isMoe.includes(0)) args.push(["moe-layer-freq", listPattern(isMoe)]);
  if (moe.sharedInner > 0) args.push(["moe-shared-expert-intermediate-size", String(moe.sharedInner)]);
  if (moe.sharedGate) args.push(["moe-shared-expert-gate"]);
  return args;
}

/** `[0,0,0,1,1]` -> `([0]*3+[1]*2)`, as Megatron's pattern options read it. */
export function listPattern(values: readonly number[]): string {
  const runs: { value: number; count: number }[] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last?.value === value) last.count++;
    else runs.push({ value, count: 1 });
  }
  return `(${runs.map(({ value, count }) => `[${value}]*${count}`).join("+")})`;
}

/** The numbers of `([0]*3+[1]*58)`, `[1,1,0]*4`, or every N-th layer for a number N; null when it is written in another way. */
export function readListPattern(text: string, length: number): readonly number[] | null {
  if (/^\d+$/.test(text)) {
    const every = Number(text);
    return every < 1 ? null : Array.from({ length }, (_, i) => (i % every === 0 ? 1 : 0));
  }
  let at = 0;
  const clean = text.replace(/\s/g, "");
  const sum = (): number[] | null => {
    const all: number[] = [];
    do {
      const part = product();
      if (part === null) return null;
      all.push(...part);
    } while (clean[at] === "+" && at++ >= 0);
    return all;
  };
  const product = (): number[] | null => {
    let inner: number[] | null;
    if (clean[at] === "(") {
      at++;
      inner = sum();
      if (clean[at++] !== ")") return null;
    } else {
      const list = /^\[(\d+(?:,\d+)*)\]/.exec(clean.slice(at));
      if (list === null) return null;
      at += list[0].length;
      inner = list[1]!.split(",").map(Number);
    }
    while (inner !== null && clean[at] === "*") {
      const times = /^\*(\d{1,6})/.exec(clean.slice(at));
      if (times === null) return null;
      at += times[0].length;
      const once: readonly number[] = inner;
      if (once.length * Number(times[1]) > 100_000) return null;
      inner = Array.from({ length: Number(times[1]) }, () => once).flat();
    }
    return inner;
  };
  const all = sum();
  return all !== null && at === clean.length && all.length === length ? all : null;
}

// --- Flags to a description ------------------------------------------------------------------------------------------------------------------------

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
    ? Array.from({ length: layers }, (_, i) => ((i + 1) % Number(skip) === 0 ? 0 : 1))
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

// --- Flags against a model -------------------------------------------------------------------------------------------------------------------------

const sizes: ReadonlySet<string> = new Set([
  "num-layers",
  "hidden-size",
  "num-attention-heads",
  "ffn-hidden-size",
  "kv-channels",
  "num-query-groups",
  "num-experts",
  "moe-router-topk",
  "moe-ffn-hidden-size",
  "moe-shared-expert-intermediate-size",
  "q-lora-rank",
  "kv-lora-rank",
  "qk-head-dim",
  "qk-pos-emb-head-dim",
  "v-head-dim",
  "mamba-num-heads",
  "mamba-head-dim",
  "mamba-state-dim",
  "mamba-num-groups",
  "mtp-num-layers",
  "normalization",
]);
const shapes: readonly string[] = [
  "group-query-attention",
  "swiglu",
  "squared-relu",
  "multi-latent-attention",
  "untie-embeddings-and-output-weights",
  "qk-layernorm",
];

/** Every size that the flags state and the model contradicts. */
export function compareModel(flags: FlagReader, model: ModelSpec, out: ImportBuilder): void {
  const wanted = new Map(modelArguments(model, model.maxSeqLen).map(([name, ...values]) => [name, values] as const));
  for (const name of sizes) {
    if (!flags.has(name)) continue;
    const stated = flags.text(name);
    const expected = wanted.get(name)?.[0];
    if (stated === undefined || stated === expected || (expected !== undefined && Number(stated) === Number(expected)))
      continue;
    // A dense width stated for a model whose every layer is a mixture is not used.
    if (expected === undefined && name === "num-query-groups" && !flags.has("group-query-attention")) continue;
    if (name === "ffn-hidden-size" && !model.layerKinds.some(({ ffn }) => ffn.kind === "dense")) continue;
    out.error(
      flags.place(name),
      expected === undefined
        ? `--${name} ${stated} contradicts "${model.name}", which has no such part`
        : `--${name} ${stated} contradicts "${model.name}": ${expected}`,
    );
  }
  if (!flags.has("num-layers")) return;
  for (const name of shapes) {
    if (flags.has(name) === wanted.has(name)) continue;
    out.error(
      flags.place(name) ?? flags.place("num-layers"),
      wanted.has(name) ? `"${model.name}" needs --${name}` : `"${model.name}" is without --${name}`,
    );
  }
  for (const name of ["num-experts", "num-query-groups"] as const)
    if (wanted.has(name) && !flags.has(name))
      out.error(flags.place("num-layers"), `"${model.name}" needs --${name} ${wanted.get(name)![0]}`);
  const vocab = readVocab(flags);
  // A padded or a trimmed vocabulary is no other model.
  if (vocab !== undefined && Math.abs(vocab - model.vocab) > 1024)
    out.error(
      flags.place("vocab-size") ?? flags.place("padded-vocab-size"),
      `A vocabulary of ${vocab} contradicts "${model.name}": ${model.vocab}`,
    );
}
