// Layers of each pipeline stage as numbers, both ways: what a strategy's fields come to, and which fields say given numbers in the fewest words.

import { dealLayers, sameCounts } from "../../parallel/lower/stages.ts";
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
  // More stages than layers and ends are no split: spec/checkStrategy.ts says so.
  if (numStages > shape.numLayers + 2) return {};
  if (sameCounts(counts, dealLayers(shape.numLayers, numStages, false))) return {};
  if (sameCounts(counts, dealLayers(shape.numLayers, numStages, true))) return { balance_embedding: true };
  return { stage_layers: counts };
}
