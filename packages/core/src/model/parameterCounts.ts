// Parameters of a whole model: total, active per token, token embedding. Tied tensors count once, buffers never, and
// multi-token-prediction modules are reported apart because publishers leave them out of their totals.

import { assert } from "../units/errors.ts";
import { layerParameters } from "./layerParameters.ts";
import type { LayerSpec, ModelSpec, NormKind, ParameterCounts } from "./types.ts";

/** Total, active and embedding parameters; `mtp` is present when the model trains prediction modules. */
export function parameterCounts(model: ModelSpec): ParameterCounts {
  const { hidden } = model;
  const decoder = stackParameters(model, hidden);
  const encoder = model.encoder === undefined ? { total: 0, active: 0 } : stackParameters(model.encoder, hidden);
  const embedding = embeddingParameters(model);
  const outside =
    embedding +
    headParameters(model) +
    model.learnedPositions * hidden +
    (model.embeddingNorm ? embeddingNormParameters(model) : 0) +
    model.extraParams;
  const total = outside + decoder.total + encoder.total;
  assert(Number.isSafeInteger(total), `parameters of "${model.name}" are a whole number, got ${total}`);
  const counts = { total, active: outside + decoder.active + encoder.active, embedding };
  return model.mtpLayers > 0 ? { ...counts, mtp: mtpParameters(model) } : counts;
}

/** Rows x columns of the token embedding. */
export function embeddingParameters(model: ModelSpec): number {
  return model.vocab * (model.embeddingDim ?? model.hidden);
}

/** Parameters of the language-model head that are not the token embedding's. */
export function headParameters(model: ModelSpec): number {
  if (!model.hasLmHead) return 0;
  return (model.tiedEmbeddings ? 0 : embeddingParameters(model)) + (model.lmHeadBias ? model.vocab : 0);
}

/**
 * Parameters of all multi-token-prediction modules: each is one layer like the last one, two norms and the
 * 2 hidden -> hidden projection that joins the previous state with the next token's embedding, and a final norm.
 * Embedding and head are shared with the model. Source: DeepSeek-V3, arXiv 2412.19437, section 2.2.
 */
export function mtpParameters(model: ModelSpec): number {
  const last = lastLayer(model);
  if (last === undefined) return 0;
  const { hidden } = model;
  return model.mtpLayers * (layerParameters(last, hidden).total + 2 * hidden * hidden + 3 * hidden);
}

function lastLayer(model: ModelSpec): LayerSpec | undefined {
  return model.layerKinds[model.layers.at(-1) ?? -1];
}

/** One norm over `width` numbers. */
function normWidthParameters(norm: NormKind, bias: boolean, width: number): number {
  return norm === "none" ? 0 : norm === "layernorm" && bias ? 2 * width : width;
}

function embeddingNormParameters(model: ModelSpec): number {
  // An embedding norm is of the kind of the layers' norms (BLOOM, BERT: LayerNorm with bias).
  const first = model.layerKinds[0] ?? model.encoder?.layerKinds[0];
  return first === undefined ? 0 : normWidthParameters(first.norm, first.normBias, model.embeddingDim ?? model.hidden);
}

interface Stack {
  readonly layerKinds: readonly LayerSpec[];
  readonly layers: readonly number[];
  readonly finalNorm: NormKind;
  readonly finalNormBias: boolean;
}

function stackParameters(stack: Stack, hidden: number): { total: number; active: number } {
  const perKind = stack.layerKinds.map((layer) => layerParameters(layer, hidden));
  const norm = normWidthParameters(stack.finalNorm, stack.finalNormBias, hidden);
  let total = norm;
  let active = norm;
  for (const kind of stack.layers) {
    total += perKind[kind]?.total ?? 0;
    active += perKind[kind]?.active ?? 0;
  }
  return { total, active };
}
