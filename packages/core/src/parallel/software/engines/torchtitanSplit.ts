// How torchtitan deals layers to pipeline stages, and which of its settings give wanted numbers.
//
// Source: torchtitan distributed/pipeline_parallel.py (generate_llm_fqn_per_model_part, pipeline_llm): the embedding weighs `first` layers and the head
// `last`; what does not divide goes to the first stages, one each. The number of stages follows from layers per stage, or is 1 a rank (2 for schedules
// of several chunks).

import { sameCounts } from "../../lower/stages.ts";

export interface TitanSplit {
  /** pipeline_parallel_first_stage_less_layers and ..last_stage... */
  readonly first: number;
  readonly last: number;
  /** pipeline_parallel_layers_per_stage; null where the default number of stages is right. */
  readonly perStage: number | null;
}

export interface TitanShape {
  readonly numLayers: number;
  readonly pp: number;
  readonly numChunks: number;
}

export function titanCounts(
  numLayers: number,
  numStages: number,
  ends: { readonly first: number; readonly last: number },
): readonly number[] {
  const units = numLayers + ends.first + ends.last;
  const base = Math.floor(units / numStages);
  const rest = units % numStages;
  return Array.from(
    { length: numStages },
    (_, i) => base + (i < rest ? 1 : 0) - (i === 0 ? ends.first : 0) - (i === numStages - 1 ? ends.last : 0),
  );
}

/** Settings that give these layers of each stage; null when there are none. */
export function titanSplit(counts: readonly number[], { numLayers, pp, numChunks }: TitanShape): TitanSplit | null {
  const numStages = pp * numChunks;
  if (numStages < 2 || counts.length !== numStages) return null;
  // Heavier ends than a few layers are no use, and torchtitan asks that a stage can carry them.
  for (let weight = 0; weight <= 12; weight++) {
    for (let first = 0; first <= weight; first++) {
      const last = weight - first;
      const units = numLayers + weight;
      const base = Math.floor(units / numStages);
      if (first > base || last > base) continue;
      if (!sameCounts(counts, titanCounts(numLayers, numStages, { first, last }))) continue;
      if (numChunks <= 2) return { first, last, perStage: null };
      const perStage = Math.ceil(units / numStages);
      if (Math.ceil(units / perStage) === numStages) return { first, last, perStage };
    }
  }
  return null;
}
