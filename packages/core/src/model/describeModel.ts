// A model as plain facts for reports: sizes, FLOPs, KV bytes and a table of its distinct layers in words.

import { unreachable } from "../units/errors.ts";
import { flopsPerToken } from "./flops.ts";
import { kvBytesPerToken, kvCacheBytes } from "./kvCache.ts";
import { layerParameters } from "./layerParameters.ts";
import { parameterCounts } from "./parameterCounts.ts";
import type { FfnSpec, LayerSpec, MixerSpec, ModelSpec, ParameterCounts } from "./types.ts";

export interface LayerRow {
  readonly stack: "decoder" | "encoder";
  readonly numLayers: number;
  /** Which layers: `0-79`, `0-46/2` (every second one) or a list of such runs. */
  readonly at: string;
  readonly mixer: string;
  readonly ffn: string;
  readonly parametersEach: number;
  readonly activeParametersEach: number;
}

export interface ModelDescription {
  readonly name: string;
  readonly family: string;
  readonly architecture: string;
  readonly parameters: ParameterCounts;
  readonly flopsPerToken: {
    readonly seqLen: number;
    readonly causal: number;
    readonly noncausal: number;
    readonly sixN: number;
  };
  readonly kvBytesPerToken: { readonly bf16: number; readonly fp8: number };
  /** One sequence of `flopsPerToken.seqLen` tokens in bf16, windows and fixed states considered. */
  readonly kvCacheBytes: number;
  readonly layers: readonly LayerRow[];
  readonly extra?: { readonly parameters: number; readonly holds: string };
  readonly notes: readonly string[];
}

/** Facts at a sequence length (by default the model's own, at most 8,192 tokens). */
export function describeModel(model: ModelSpec, options: { readonly seqLen?: number } = {}): ModelDescription {
  const seqLen = options.seqLen ?? Math.min(model.maxSeqLen, 8192);
  const extra = { parameters: model.extraParams, holds: model.extraNote ?? "parameters outside the layers" };
  return {
    name: model.name,
    family: model.family,
    architecture: architectureInWords(model),
    parameters: parameterCounts(model),
    flopsPerToken: {
      seqLen,
      causal: flopsPerToken(model, { seqLen, convention: "causal" }),
      noncausal: flopsPerToken(model, { seqLen, convention: "noncausal" }),
      sixN: flopsPerToken(model, { seqLen, convention: "6N" }),
    },
    kvBytesPerToken: { bf16: kvBytesPerToken(model, "bf16"), fp8: kvBytesPerToken(model, "fp8") },
    kvCacheBytes: kvCacheBytes(model, { seqLen, dtype: "bf16" }),
    layers: [
      ...(model.encoder === undefined ? [] : layerRows(model.encoder, { stack: "encoder", hidden: model.hidden })),
      ...layerRows(model, { stack: "decoder", hidden: model.hidden }),
    ],
    ...(model.extraParams > 0 ? { extra } : {}),
    notes: model.notes,
  };
}

function layerRows(
  stack: { readonly layerKinds: readonly LayerSpec[]; readonly layers: readonly number[] },
  p: { readonly stack: LayerRow["stack"]; readonly hidden: number },
): readonly LayerRow[] {
  return stack.layerKinds.map((layer, kind) => {
    const positions = stack.layers.flatMap((k, i) => (k === kind ? [i] : []));
    const parameters = layerParameters(layer, p.hidden);
    return {
      stack: p.stack,
      numLayers: positions.length,
      at: runs(positions),
      mixer: mixerInWords(layer.mixer),
      ffn: ffnInWords(layer.ffn),
      parametersEach: parameters.total,
      activeParametersEach: parameters.active,
    };
  });
}

/** Ascending positions as runs of equal step: 0,2,4,6,7 -> `0-6/2, 7`. */
export function runs(positions: readonly number[]): string {
  const parts: string[] = [];
  for (let start = 0; start < positions.length; ) {
    const first = positions[start] ?? 0;
    const step = (positions[start + 1] ?? first) - first;
    let end = start + 1;
    while (end < positions.length && (positions[end] ?? 0) - (positions[end - 1] ?? 0) === step) end += 1;
    const isRun = end - start > 2 || (end - start === 2 && step === 1);
    const last = positions[end - 1] ?? first;
    parts.push(isRun ? `${first}-${last}${step === 1 ? "" : `/${step}`}` : String(first));
    start = isRun ? end : start + 1;
  }
  return parts.join(", ");
}

function architectureInWords(model: ModelSpec): string {
  const kind = model.encoder !== undefined ? "encoder-decoder" : isCausal(model) ? "decoder" : "encoder";
  const layers =
    model.encoder === undefined ? `${model.layers.length}` : `${model.encoder.layers.length} + ${model.layers.length}`;
  const head = !model.hasLmHead ? "" : model.tiedEmbeddings ? ", tied head" : ", untied head";
  const vocabulary = model.vocab > 0 ? `, vocabulary ${model.vocab.toLocaleString("en-US")}${head}` : "";
  return `${kind}, ${layers} layers, hidden ${model.hidden.toLocaleString("en-US")}, positions ${model.position}${vocabulary}`;
}

function isCausal(model: ModelSpec): boolean {
  return model.layerKinds.every((layer) => layer.mixer.kind !== "attention" || layer.mixer.causal);
}

function mixerInWords(mixer: MixerSpec): string {
  switch (mixer.kind) {
    case "attention": {
      const heads =
        mixer.kvHeads === mixer.heads ? `${mixer.heads} heads` : `${mixer.heads} heads on ${mixer.kvHeads} kv`;
      const window = mixer.window > 0 ? `, window ${mixer.window}` : "";
      const cross = mixer.crossAttention ? " and cross attention" : "";
      return `attention${cross}, ${heads} of ${mixer.headDim}${window}`;
    }
    case "mla": {
      const sparse = mixer.sparseTopk > 0 ? `, at most ${mixer.sparseTopk} keys` : "";
      return `latent attention, ${mixer.heads} heads, kv rank ${mixer.kvLoraRank} + ${mixer.qkRopeHeadDim}${sparse}`;
    }
    case "ssm": {
      const name = { mamba1: "Mamba", mamba2: "Mamba-2", gatedDelta: "gated delta net" }[mixer.variant];
      return `${name}, inner ${mixer.innerDim}, state ${mixer.stateDim}`;
    }
    case "none":
      return "none";
    default:
      return unreachable(mixer);
  }
}

function ffnInWords(ffn: FfnSpec): string {
  switch (ffn.kind) {
    case "dense":
      return `${ffn.gated ? "gated " : ""}${ffn.activation}, inner ${ffn.inner}`;
    case "moe": {
      const shared = ffn.sharedInner > 0 ? ` + shared ${ffn.sharedInner}` : "";
      return `${ffn.topk} of ${ffn.experts} experts, ${ffn.gated ? "gated " : ""}${ffn.activation}, inner ${ffn.inner}${shared}`;
    }
    case "none":
      return "none";
    default:
      return unreachable(ffn);
  }
}
