// Mixture-of-experts feed-forward parts: one description of the experts, and a rule for which layers have them.

import type { ConfigReader } from "../configReader.ts";
import type { FfnSpec, MoeFfnSpec } from "../types.ts";
import { type ByLayer, readActivation } from "./decoder.ts";

const expertKeys = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"];
const topkKeys = [
  "num_experts_per_tok",
  "experts_per_token",
  "moe_topk",
  "moe_top_k",
  "top_k_experts",
  "num_experts_per_token",
  "moe_k",
];

/** The experts of one layer; what is not stated in `departure` is read from the usual keys. */
export function moeFfn(reader: ConfigReader, departure: Partial<MoeFfnSpec> = {}): MoeFfnSpec {
  const experts = departure.experts ?? reader.count(expertKeys);
  const topk = departure.topk ?? reader.count(topkKeys);
  if (topk > experts && !reader.failed) {
    reader.find("num_experts_per_tok", `A token cannot use ${topk} of ${experts} experts`, `use at most ${experts}`);
  }
  return {
    kind: "moe",
    gated: true,
    bias: false,
    activation: departure.activation ?? readActivation(reader, "silu"),
    sharedInner: 0,
    sharedGate: false,
    routerBias: false,
    extraParams: 0,
    ...departure,
    inner: departure.inner ?? reader.count(["moe_intermediate_size", "intermediate_size"]),
    experts,
    topk,
  };
}

/** Routed experts of width `moe_intermediate_size` and `n_shared_experts` shared ones of the same width (DeepSeek's naming). */
export function deepseekMoe(reader: ConfigReader, departure: Partial<MoeFfnSpec> = {}): MoeFfnSpec {
  const inner = departure.inner ?? reader.count("moe_intermediate_size");
  const shared = reader.size(["n_shared_experts", "num_shared_experts"], 0);
  return moeFfn(reader, { inner, sharedInner: shared * inner, ...departure });
}

/** Dense layers first, then every `moe_layer_freq`-th layer is a mixture (DeepSeek). */
export function denseFirst(
  reader: ConfigReader,
  p: { dense: () => ByLayer<FfnSpec>; moe: FfnSpec; numLayers: number },
): ByLayer<FfnSpec> {
  const types = reader.list("mlp_layer_types", p.numLayers);
  const freqList = Array.isArray(reader.value("moe_layer_freq")) ? reader.list("moe_layer_freq", p.numLayers) : null;
  const numDense = reader.size("first_k_dense_replace", 0);
  const frequency = freqList === null ? reader.count("moe_layer_freq", 1) : 1;
  const isMoe = (i: number): boolean => {
    if (types !== null) return types[i] === "sparse";
    if (freqList !== null) return freqList[i] === 1;
    return i >= numDense && i % frequency === 0;
  };
  return pickFfn({ numLayers: p.numLayers, isMoe, dense: p.dense, moe: p.moe });
}

/** Mixture or dense by layer; the dense width is asked for only when some layer is dense. */
export function pickFfn(p: {
  numLayers: number;
  isMoe: (i: number) => boolean;
  dense: () => ByLayer<FfnSpec>;
  moe: FfnSpec;
}): ByLayer<FfnSpec> {
  const anyDense = Array.from({ length: p.numLayers }, (_, i) => p.isMoe(i)).includes(false);
  const denseOf = anyDense ? p.dense() : () => p.moe;
  return (i) => (p.isMoe(i) ? p.moe : denseOf(i));
}
