// A model with 126 layers has one or two different ones. Equal layers share one LayerSpec, so later rooms price and
// lower each kind once. Kinds are numbered in order of first appearance.

import type { LayerSpec } from "./types.ts";

export function internLayers(perLayer: readonly LayerSpec[]): {
  layerKinds: readonly LayerSpec[];
  layers: readonly number[];
} {
  const kindOf = new Map<string, number>();
  const layerKinds: LayerSpec[] = [];
  const layers = perLayer.map((layer) => {
    // Two layers are equal when their fields are, in whatever order they were written.
    const key = JSON.stringify(layer, sortedKeys);
    const known = kindOf.get(key);
    if (known !== undefined) return known;
    kindOf.set(key, layerKinds.length);
    return layerKinds.push(layer) - 1;
  });
  return { layerKinds, layers };
}

function sortedKeys(_key: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
