// Qwen 1 to 3, dense and mixtures. Qwen 1, 1.5, 2 and 2.5 have biases on q, k and v only; Qwen 3 has q and k norms
// instead (arXiv 2407.10671, 2505.09388).

import type { ConfigReader } from "../configReader.ts";
import type { FfnSpec } from "../types.ts";
import { type ByLayer, type Dims, decoder, denseFfn, type Importer, layerTypesWindow } from "./decoder.ts";
import { moeFfn, pickFfn } from "./moe.ts";
import { multimodal } from "./multimodal.ts";
import { qwen2VisionParameters, qwen3VisionParameters, qwen25VisionParameters } from "./vision.ts";

const qkvBiased = (r: ConfigReader) => ({ qkvBias: r.flag("qkv_bias", true), outBias: false });

const languageFamilies = {
  // `intermediate_size` counts both halves of the gated projection; `no_bias` leaves the biases of q, k and v.
  qwen: decoder({
    tied: false,
    attention: () => ({ qkvBias: true, outBias: false }),
    ffn: (r) => denseFfn(r, { inner: Math.floor(r.count("intermediate_size") / 2) }),
  }),
  qwen2: decoder({ tied: false, kvHeads: 32, attention: qkvBiased, window: qwenWindow }),
  qwen2_moe: decoder({
    tied: false,
    kvHeads: 16,
    attention: qkvBiased,
    window: qwenWindow,
    ffn: (r, d) => sparseStep(r, d, { shared: r.size("shared_expert_intermediate_size") }),
  }),
  qwen3: decoder({
    tied: false,
    kvHeads: 32,
    headDim: 128,
    attention: () => ({ qkNorm: "perHead" }),
    window: qwenWindow,
  }),
  qwen3_moe: decoder({
    tied: false,
    kvHeads: 4,
    attention: () => ({ qkNorm: "perHead" }),
    window: qwenWindow,
    ffn: (r, d) => sparseStep(r, d, { shared: 0 }),
  }),
} satisfies Readonly<Record<string, Importer>>;

export const qwenFamilies: Readonly<Record<string, Importer>> = {
  ...languageFamilies,
  qwen2_vl: multimodal(languageFamilies.qwen2, qwen2VisionParameters),
  qwen2_5_vl: multimodal(languageFamilies.qwen2, qwen25VisionParameters),
  qwen3_vl: multimodal(languageFamilies.qwen3, qwen3VisionParameters),
  qwen3_vl_moe: multimodal(languageFamilies.qwen3_moe, qwen3VisionParameters),
};

/** Windows only when `use_sliding_window`, and then from layer `max_window_layers` on. */
function qwenWindow(reader: ConfigReader, dims: Dims): ByLayer<number> {
  if (reader.has("layer_types")) return layerTypesWindow(reader, dims);
  const window = reader.flag("use_sliding_window", false) ? (reader.optionalSize("sliding_window") ?? 0) : 0;
  const fullLayers = reader.size("max_window_layers", 28);
  return (i) => (i >= fullLayers ? window : 0);
}

/** Every `decoder_sparse_step`-th layer is a mixture, except those in `mlp_only_layers`; a shared expert has a gate. */
export function sparseStep(reader: ConfigReader, dims: Dims, p: { shared: number }): ByLayer<FfnSpec> {
  const step = reader.count("decoder_sparse_step", 1);
  const denseLayers = new Set(reader.list("mlp_only_layers") ?? []);
  const moe = moeFfn(reader, {
    inner: reader.count("moe_intermediate_size"),
    sharedInner: p.shared,
    sharedGate: p.shared > 0,
  });
  return pickFfn({
    numLayers: dims.numLayers,
    isMoe: (i) => !denseLayers.has(i) && (i + 1) % step === 0,
    dense: () => denseFfn(reader),
    moe,
  });
}
