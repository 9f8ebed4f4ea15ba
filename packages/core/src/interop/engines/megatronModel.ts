// A model as Megatron-LM's flags. What flags cannot describe is refused before
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
import { listPattern } from "./listPattern.ts";

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
    if (attention?.rope === true && attention.ropeFrac < 1) args.push(["rotary-percent", String(attention.ropeFrac)]);
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
