// Hybrid stacks written as a pattern, one letter a layer: M a Mamba-2 mixer, * attention, - a dense feed-forward part,
// E a mixture of experts (the letters of Megatron-Core's `hybrid_override_pattern` and Nemotron-H). A layer is one
// branch only, with one norm.

import type { ConfigReader } from "./configReader.ts";
import { mamba2 } from "./stateSpace.ts";
import type { FfnSpec, LayerSpec, MixerSpec, SsmSpec } from "./types.ts";

export interface HybridParts {
  readonly pattern: string;
  readonly numLayers: number;
  readonly plain: Omit<LayerSpec, "mixer" | "ffn">;
  readonly mamba: () => SsmSpec;
  readonly attention: () => MixerSpec;
  readonly dense: () => FfnSpec;
  readonly moe: () => FfnSpec;
}

/** The layers of a pattern; its length must be the number of layers. */
export function patternLayers(reader: ConfigReader, key: string, p: HybridParts): readonly LayerSpec[] {
  // Pipeline and prediction-module separators of newer patterns carry no layer.
  const letters = [...(p.pattern.split("/")[0] ?? "").replaceAll("|", "")];
  if (letters.length !== p.numLayers && !reader.failed) {
    reader.find(key, `"${key}" describes ${letters.length} layers, the model has ${p.numLayers}`);
  }
  const wrong = letters.find((letter) => !"M*-E".includes(letter));
  if (wrong !== undefined)
    reader.find(
      key,
      `"${key}" has an unknown letter "${wrong}"`,
      "use M (Mamba-2), * (attention), - (dense), E (experts)",
    );
  const made = new Map<string, LayerSpec>();
  return letters.map((letter) => {
    const known = made.get(letter);
    if (known !== undefined) return known;
    const layer = oneBranch(letter, p);
    made.set(letter, layer);
    return layer;
  });
}

function oneBranch(letter: string, p: HybridParts): LayerSpec {
  const none = { kind: "none" } as const;
  if (letter === "M") return { ...p.plain, mixer: p.mamba(), ffn: none };
  if (letter === "*") return { ...p.plain, mixer: p.attention(), ffn: none };
  return { ...p.plain, mixer: none, ffn: letter === "E" ? p.moe() : p.dense() };
}

/** Reads the Mamba-2 sizes of an inline description. */
export function inlineMamba(reader: ConfigReader, hidden: number): SsmSpec {
  return mamba2({
    hidden,
    heads: reader.count("mamba_heads"),
    headDim: reader.count("mamba_head_dim"),
    stateDim: reader.count("mamba_state"),
    groups: reader.count("mamba_groups", 8),
    convKernel: reader.count("mamba_conv", 4),
    convBias: true,
    projBias: false,
    gatedNorm: true,
  });
}
