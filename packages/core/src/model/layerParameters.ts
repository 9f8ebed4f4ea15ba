// Trainable parameters of one layer, split by what they are for. Each closed form follows from the matrix shapes that
// the specs name; parameters a spec cannot name are already summed in its `extraParams` by the importer.

import { unreachable } from "../units/errors.ts";
import type { AttentionSpec, FfnSpec, LayerSpec, MixerSpec, MlaSpec, MoeFfnSpec } from "./types.ts";

export interface LayerParameters {
  readonly mixer: number;
  /** Dense feed-forward part, or everything of a mixture that every token uses (shared experts, latent projections). */
  readonly ffn: number;
  /** All routed experts together. */
  readonly experts: number;
  readonly router: number;
  readonly norms: number;
  /** Layer scalars and the like. */
  readonly other: number;
  readonly total: number;
  /** total minus the routed experts one token does not use. */
  readonly active: number;
}

/** Parameters of one layer of a model with the given hidden size. */
export function layerParameters(layer: LayerSpec, hidden: number): LayerParameters {
  const mixer = mixerParameters(layer.mixer, hidden);
  const ffn = ffnParameters(layer.ffn, hidden);
  const norms = normVectors(layer) * normParameters(layer, hidden);
  const other = layer.extraParams;
  const total = mixer + ffn.shared + ffn.experts + ffn.router + norms + other;
  const idleExperts =
    layer.ffn.kind === "moe" ? (ffn.experts / layer.ffn.experts) * (layer.ffn.experts - layer.ffn.topk) : 0;
  return {
    mixer,
    ffn: ffn.shared,
    experts: ffn.experts,
    router: ffn.router,
    norms,
    other,
    total,
    active: total - idleExperts,
  };
}

/** Norms on the residual path: one per branch (mixer, cross attention, ffn) times `normsPerBranch`. */
function normVectors(layer: LayerSpec): number {
  if (layer.norm === "none") return 0;
  const cross = layer.mixer.kind === "attention" && layer.mixer.crossAttention ? 1 : 0;
  const branches = (layer.mixer.kind === "none" ? 0 : 1) + cross + (layer.ffn.kind === "none" ? 0 : 1);
  return branches * layer.normsPerBranch;
}

function normParameters(layer: LayerSpec, hidden: number): number {
  if (layer.normAffine === false) return 0;
  return hidden * (layer.norm === "layernorm" && layer.normBias ? 2 : 1);
}

function mixerParameters(mixer: MixerSpec, hidden: number): number {
  switch (mixer.kind) {
    case "attention":
      return attentionParameters(mixer, hidden);
    case "mla":
      return mlaParameters(mixer, hidden);
    case "ssm":
      return mixer.params;
    case "none":
      return 0;
    default:
      return unreachable(mixer);
  }
}

function attentionParameters(a: AttentionSpec, hidden: number): number {
  const queryDim = a.heads * a.headDim;
  const keyDim = a.kvShared === true ? 0 : a.kvHeads * a.headDim;
  const valueDim = a.kvShared === true || a.valueIsKey === true ? 0 : a.kvHeads * a.vHeadDim;
  const outDim = a.heads * a.vHeadDim;
  const qkvDim = queryDim * (a.outputGate === true ? 2 : 1) + keyDim + valueDim;
  const projections = hidden * qkvDim + (a.qkvBias ? qkvDim : 0) + outDim * hidden + (a.outBias ? hidden : 0);
  const normedHeads = a.kvShared === true ? 1 : 2;
  const qkNorms = a.qkNorm === "perHead" ? normedHeads * a.headDim : a.qkNorm === "full" ? queryDim + keyDim : 0;
  return (projections + qkNorms) * (a.crossAttention ? 2 : 1) + a.extraParams;
}

/** DeepSeek-V2 (arXiv 2405.04434, appendix C): down and up projections of q and of the joint kv latent, each latent with a norm. */
function mlaParameters(m: MlaSpec, hidden: number): number {
  const queryDim = m.heads * (m.qkNopeHeadDim + m.qkRopeHeadDim);
  const query = m.qLoraRank === null ? hidden * queryDim : hidden * m.qLoraRank + m.qLoraRank + m.qLoraRank * queryDim;
  const latentDim = m.kvLoraRank + m.qkRopeHeadDim;
  if (m.sharedKv !== undefined) {
    // The latent is normed over its whole width and is both key and value.
    const { groups, rank } = m.sharedKv;
    return (
      query + hidden * latentDim + latentDim + m.heads * m.vHeadDim * rank + groups * rank * hidden + m.extraParams
    );
  }
  const keyValue = hidden * latentDim + m.kvLoraRank + m.kvLoraRank * m.heads * (m.qkNopeHeadDim + m.vHeadDim);
  return query + keyValue + m.heads * m.vHeadDim * hidden + m.extraParams;
}

function ffnParameters(ffn: FfnSpec, hidden: number): { shared: number; experts: number; router: number } {
  switch (ffn.kind) {
    case "dense":
      return { shared: mlpParameters({ outer: hidden, ...ffn }), experts: 0, router: 0 };
    case "moe":
      return moeParameters(ffn, hidden);
    case "none":
      return { shared: 0, experts: 0, router: 0 };
    default:
      return unreachable(ffn);
  }
}

function moeParameters(f: MoeFfnSpec, hidden: number): { shared: number; experts: number; router: number } {
  const latent = f.latentDim ?? 0;
  const expertOuter = latent > 0 ? latent : hidden;
  const experts = f.experts * mlpParameters({ outer: expertOuter, inner: f.inner, gated: f.gated, bias: f.bias });
  const sharedExpert =
    f.sharedInner > 0 ? mlpParameters({ outer: hidden, inner: f.sharedInner, gated: f.gated, bias: f.bias }) : 0;
  const shared = sharedExpert + (f.sharedGate ? hidden : 0) + 2 * hidden * latent;
  return { shared, experts, router: hidden * f.experts + (f.routerBias ? f.experts : 0) + f.extraParams };
}

function mlpParameters(m: { outer: number; inner: number; gated: boolean; bias: boolean }): number {
  const matrices = m.gated ? 3 : 2;
  return matrices * m.outer * m.inner + (m.bias ? (matrices - 1) * m.inner + m.outer : 0);
}
