// Layers of each pipeline stage as numbers, both ways: what a strategy's fields come to, and which fields say given numbers in the fewest words.

import { dealLayers } from "../../parallel/lower/stages.ts";
import type { Strategy } from "../../parallel/strategy.ts";

export interface StageShape {
  readonly numLayers: number;
  readonly pp: number;
  readonly numChunks: number;
}

/** Layers of every stage in model order, pp x chunks numbers. */
export function stageCounts(strategy: Strategy, numLayers: number): readonly number[] {
  const { pp, numChunks, stageLayers, balanceEmbedding } = strategy;
  return stageLayers ?? dealLayers(numLayers, pp * numChunks, balanceEmbedding);
}

export interface SplitFields {
  readonly stage_layers?: readonly number[];
  readonly balance_embedding?: true;
}

/** Fields of a strategy that give these numbers; none for the split that is even anyway. */
export function splitFields(counts: readonly number[], shape: StageShape): SplitFields {
  const numStages = shape.pp * shape.numChunks;
  if (same(counts, dealLayers(shape.numLayers, numStages, false))) return {};
  if (shape.numLayers + 2 >= numStages && same(counts, dealLayers(shape.numLayers, numStages, true)))
    return { balance_embedding: true };
  return { stage_layers: counts };
}

export function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, i) => n === b[i]);
}
