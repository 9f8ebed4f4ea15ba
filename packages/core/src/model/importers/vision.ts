// Parameters of vision towers: patch embedding, transformer layers, the merger or projector behind them. Only counted,
// not lowered: they are small beside the language models they feed.
// Sources: arXiv 2303.15343 (SigLIP), 2409.12191 (Qwen2-VL), 2502.13923 (Qwen2.5-VL), 2504.07491 (MoonViT) and the published
// modelling code of Qwen3-VL, Llama 4 and Gemma 4.

import type { ConfigReader } from "../configReader.ts";

/** A linear map with bias unless told otherwise. */
export function linear(from: number, to: number, bias = true): number {
  return from * to + (bias ? to : 0);
}

/** One pre-norm ViT layer: two LayerNorms, q, k, v, o and a two-matrix MLP, biases everywhere. */
function vitLayer(width: number, inner: number): number {
  return 4 * width + 4 * linear(width, width) + linear(width, inner) + linear(inner, width);
}

/** SigLIP's tower; its attention-pooling head is a class default that language models switch off. */
export function siglipParameters(vision: ConfigReader, p: { head: boolean }): number {
  const width = vision.count("hidden_size");
  const inner = vision.count("intermediate_size");
  const patch = vision.count("patch_size");
  const numPatches = Math.floor(vision.count("image_size") / patch) ** 2;
  const head = vision.flag("vision_use_head", p.head)
    ? width + linear(width, 3 * width) + linear(width, width) + 2 * width + linear(width, inner) + linear(inner, width)
    : 0;
  const stem = linear(vision.count("num_channels", 3) * patch * patch, width) + numPatches * width;
  return stem + vision.count("num_hidden_layers") * vitLayer(width, inner) + 2 * width + head;
}

/** CLIP's tower: class token, learned positions, norms before and after the layers. */
export function clipVisionParameters(vision: ConfigReader): number {
  const width = vision.count("hidden_size");
  const patch = vision.count("patch_size");
  const numPositions = Math.floor(vision.count("image_size") / patch) ** 2 + 1;
  const stem = linear(vision.count("num_channels", 3) * patch * patch, width, false) + width + numPositions * width;
  return stem + 4 * width + vision.count("num_hidden_layers") * vitLayer(width, vision.count("intermediate_size"));
}

export function qwen2VisionParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count("embed_dim", 1280);
  const stem = qwenStem(vision, width, false);
  const layers = vision.count("depth", 32) * vitLayer(width, Math.round(vision.positive("mlp_ratio", 4) * width));
  const merged = width * vision.count("spatial_merge_size", 2) ** 2;
  const out = vision.count("hidden_size", textHidden);
  return stem + layers + 2 * width + linear(merged, merged) + linear(merged, out);
}

/** RMSNorms and a gated MLP with biases; windows do not change the count. */
export function qwen25VisionParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count("hidden_size", 1280);
  const inner = vision.count("intermediate_size", 3420);
  const layer = 2 * width + 4 * linear(width, width) + 2 * linear(width, inner) + linear(inner, width);
  const merged = width * vision.count("spatial_merge_size", 2) ** 2;
  const merger = width + linear(merged, merged) + linear(merged, vision.count("out_hidden_size", textHidden));
  return qwenStem(vision, width, false) + vision.count("depth", 32) * layer + merger;
}

/** Learned positions, one merger, and one more for each layer whose features go deep into the language model. */
export function qwen3VisionParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count("hidden_size", 1152);
  const merged = width * vision.count("spatial_merge_size", 2) ** 2;
  const out = vision.count("out_hidden_size", textHidden);
  const merge = linear(merged, merged) + linear(merged, out);
  const numDeep = vision.list("deepstack_visual_indexes")?.length ?? 0;
  const layers = vision.count("depth", 27) * vitLayer(width, vision.count("intermediate_size", 4304));
  const positions = vision.count("num_position_embeddings", 2304) * width;
  return qwenStem(vision, width, true) + positions + layers + 2 * width + merge + numDeep * (2 * merged + merge);
}

function qwenStem(vision: ConfigReader, width: number, bias: boolean): number {
  const channels = vision.count(["in_channels", "in_chans"], 3);
  const patch = vision.count("patch_size", 14);
  return linear(channels * vision.count("temporal_patch_size", 2) * patch * patch, width, bias);
}

/** Llama 4: unfolded patches, class token, pixel shuffle, two projections without bias. */
export function llama4VisionParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count("hidden_size");
  const inner = vision.count("intermediate_size");
  const patch = vision.count("patch_size");
  const numPositions = Math.floor(vision.count("image_size") / patch) ** 2 + 1;
  const stem = linear(vision.count("num_channels", 3) * patch * patch, width, false) + width + numPositions * width;
  const layers = vision.count("num_hidden_layers") * vitLayer(width, inner) + 4 * width;
  const projected = vision.count("projector_input_dim");
  const out = vision.count("projector_output_dim", projected);
  // Pixel shuffle at ratio r folds 1/r^2 pixels into the channels.
  const shuffled = Math.round(width / vision.positive("pixel_shuffle_ratio", 0.5) ** 2);
  const adapter = linear(shuffled, projected, false) + linear(projected, out, false);
  return stem + layers + adapter + linear(vision.count("vision_output_dim", out), textHidden, false);
}

/** MoonViT with its patch merger (Kimi K2.5, Kimi-VL): learned positions over a grid. */
export function moonVitParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count(["vt_hidden_size", "hidden_size"]);
  const inner = vision.count(["vt_intermediate_size", "intermediate_size"]);
  const patch = vision.count("patch_size", 14);
  const positions = vision.count("init_pos_emb_height", 64) * vision.count("init_pos_emb_width", 64) * width;
  const layers = vision.count(["vt_num_hidden_layers", "num_hidden_layers"]) * vitLayer(width, inner);
  const kernel = vision.list("merge_kernel_size") ?? [2, 2];
  const merged = width * kernel.reduce<number>((product, side) => product * (typeof side === "number" ? side : 1), 1);
  const projector = 2 * width + linear(merged, merged) + linear(merged, textHidden);
  return linear(3 * patch * patch, width) + positions + layers + 2 * width + projector;
}

/** Gemma 4: two position tables, sandwich norms, q and k norms, gated MLP without biases. */
export function gemma4VisionParameters(vision: ConfigReader, textHidden: number): number {
  const width = vision.count("hidden_size");
  const inner = vision.count("intermediate_size");
  const headDim = vision.count("head_dim", Math.floor(width / vision.count("num_attention_heads")));
  const queryDim = vision.count("num_attention_heads") * headDim;
  const keyDim = vision.count("num_key_value_heads", vision.count("num_attention_heads")) * headDim;
  const layer = 4 * width + 2 * width * (queryDim + keyDim) + 2 * headDim + 3 * width * inner;
  const patch = vision.count("patch_size");
  const positions = 2 * vision.count("position_embedding_size", 10_240) * width;
  return (
    linear(3 * patch * patch, width, false) +
    positions +
    vision.count("num_hidden_layers") * layer +
    linear(width, textHidden, false)
  );
}

/** Step-3.7: layer scales, then two strided convolutions that each double the width. */
export function step37VisionParameters(vision: ConfigReader, textHidden: number, config: ConfigReader): number {
  const width = vision.count(["width", "hidden_size"], 1536);
  const inner = Math.floor(width * vision.positive("mlp_ratio", 8960 / 1536));
  const patch = vision.count("patch_size", 14);
  const numPatches = Math.floor(vision.count("image_size", 728) / patch) ** 2;
  const layers = vision.count(["layers", "num_hidden_layers"], 47) * (vitLayer(width, inner) + 2 * width);
  const downsamplers = linear(9 * width, 2 * width) + linear(9 * 2 * width, 4 * width);
  const stem = linear(3 * patch * patch, width, false) + numPatches * width + 2 * width;
  return stem + layers + downsamplers + linear(4 * width, textHidden, config.flag("projector_bias", false));
}

/** Pixtral's tower behind Mistral 3: RMSNorms, gated MLPs, no biases; a patch merger and two projections. */
export function pixtralParameters(vision: ConfigReader, textHidden: number, config: ConfigReader): number {
  const width = vision.count("hidden_size", 1024);
  const patch = vision.count("patch_size", 14);
  const layer = 2 * width + 4 * width * width + 3 * width * vision.count("intermediate_size", 4096);
  const merged = width * config.count("spatial_merge_size", 2) ** 2;
  const bias = config.flag("multimodal_projector_bias", false);
  const projector = width + merged * width + linear(width, textHidden, bias) + linear(textHidden, textHidden, bias);
  const stem = linear(vision.count("num_channels", 3) * patch * patch, width, false) + width;
  return stem + vision.count("num_hidden_layers", 24) * layer + projector;
}
