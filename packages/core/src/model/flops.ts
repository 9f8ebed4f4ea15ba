// FLOPs of one token through the model, forward and backward. Matrix products count 2 FLOPs per multiply-add, the
// backward pass twice the forward; norms, activations and softmax are left out, as in every published MFU.
// Conventions:
//   causal     each query meets the keys before it, on average half the sequence (Megatron-Core's counter since 2024);
//   noncausal  each query meets all keys (Megatron 2021, arXiv 2104.04473, appendix; PaLM, arXiv 2204.02311, appendix B);
//   6N         6 x active parameters, attention scores ignored (arXiv 2001.08361, equation 2.2).
// A sliding window or a top-k selection bounds the keys in both of the first two.

import { unreachable } from "../units/errors.ts";
import { embeddingParameters, parameterCounts } from "./parameterCounts.ts";
import type { AttentionSpec, FfnSpec, LayerSpec, MixerSpec, MlaSpec, ModelSpec, SsmSpec } from "./types.ts";

export type FlopsConvention = "causal" | "noncausal" | "6N";

export interface FlopsQuestion {
  /** Tokens per sequence; of an encoder-decoder, tokens on each side. */
  readonly seqLen: number;
  readonly convention: FlopsConvention;
}

/** Forward and backward FLOPs per (decoder) token, one pass over the encoder included. */
export function flopsPerToken(model: ModelSpec, question: FlopsQuestion): number {
  if (question.convention === "6N") return 6 * parameterCounts(model).active;
  return 3 * forwardFlopsPerToken(model, question);
}

function forwardFlopsPerToken(model: ModelSpec, question: FlopsQuestion): number {
  const perKind = model.layerKinds.map((layer) => layerForwardFlops(layer, model.hidden, question));
  let total = model.hasLmHead ? 2 * embeddingParameters(model) : 0;
  for (const kind of model.layers) total += perKind[kind] ?? 0;
  if (model.encoder !== undefined) {
    const encoderKinds = model.encoder.layerKinds.map((layer) => layerForwardFlops(layer, model.hidden, question));
    for (const kind of model.encoder.layers) total += encoderKinds[kind] ?? 0;
  }
  return total;
}

/** Forward FLOPs of one layer per token. */
export function layerForwardFlops(layer: LayerSpec, hidden: number, question: FlopsQuestion): number {
  return mixerFlops(layer.mixer, hidden, question) + 2 * ffnMatrixSize(layer.ffn, hidden);
}

function mixerFlops(mixer: MixerSpec, hidden: number, question: FlopsQuestion): number {
  switch (mixer.kind) {
    case "attention":
      return attentionFlops(mixer, hidden, question);
    case "mla":
      return mlaFlops(mixer, hidden, question);
    case "ssm":
      return ssmFlops(mixer, hidden);
    case "none":
      return 0;
    default:
      return unreachable(mixer);
  }
}

function attentionFlops(a: AttentionSpec, hidden: number, question: FlopsQuestion): number {
  const queryDim = a.heads * a.headDim * (a.outputGate === true ? 2 : 1);
  const keyDim = a.kvShared === true ? 0 : a.kvHeads * a.headDim;
  const valueDim = a.kvShared === true || a.valueIsKey === true ? 0 : a.kvHeads * a.vHeadDim;
  const projections = hidden * (queryDim + keyDim + valueDim) + a.heads * a.vHeadDim * hidden;
  const pairWork = a.heads * (a.headDim + a.vHeadDim);
  const keys = averageKeys({ ...question, window: a.window, causal: a.causal });
  const self = 2 * projections + 2 * keys * pairWork;
  return a.crossAttention ? self + 2 * projections + 2 * question.seqLen * pairWork : self;
}

/** Training form: keys and values are expanded from the latent. */
function mlaFlops(m: MlaSpec, hidden: number, question: FlopsQuestion): number {
  const headDim = m.qkNopeHeadDim + m.qkRopeHeadDim;
  const query = m.qLoraRank === null ? hidden * m.heads * headDim : m.qLoraRank * (hidden + m.heads * headDim);
  const latent = hidden * (m.kvLoraRank + m.qkRopeHeadDim);
  const expand = m.sharedKv === undefined ? m.kvLoraRank * m.heads * (m.qkNopeHeadDim + m.vHeadDim) : 0;
  const valueWidth = m.heads * m.vHeadDim;
  const out =
    m.sharedKv === undefined ? valueWidth * hidden : m.sharedKv.rank * (valueWidth + m.sharedKv.groups * hidden);
  const keys = averageKeys({ ...question, window: m.sparseTopk, causal: true });
  return 2 * (query + latent + expand + out) + 2 * keys * m.heads * (headDim + m.vHeadDim);
}

/** Projections, convolution and 7 FLOPs per state element for the scan (Megatron-Core's count for Mamba layers). */
function ssmFlops(s: SsmSpec, hidden: number): number {
  const projections = hidden * s.inProjDim + s.outProjDim * hidden;
  return 2 * projections + 2 * s.convDim * s.convKernel + 7 * s.innerDim * s.stateDim;
}

/** Elements of the feed-forward matrices one token is multiplied with. */
function ffnMatrixSize(ffn: FfnSpec, hidden: number): number {
  if (ffn.kind === "none") return 0;
  const matrices = ffn.gated ? 3 : 2;
  if (ffn.kind === "dense") return matrices * hidden * ffn.inner;
  const latent = ffn.latentDim ?? 0;
  const expertOuter = latent > 0 ? latent : hidden;
  const routed = ffn.topk * matrices * expertOuter * ffn.inner;
  return (
    routed +
    matrices * hidden * ffn.sharedInner +
    2 * hidden * latent +
    hidden * ffn.experts +
    (ffn.sharedGate ? hidden : 0)
  );
}

/**
 * Keys the average query of a sequence meets. Causal: s/2, or with a window w <= s the first w queries meet half of w
 * and the rest meet w, so w - w^2/(2 s).
 */
function averageKeys(p: FlopsQuestion & { window: number; causal: boolean }): number {
  const window = p.window > 0 ? Math.min(p.window, p.seqLen) : p.seqLen;
  if (!p.causal || p.convention === "noncausal") return window;
  return window - (window * window) / (2 * p.seqLen);
}
