// How layers are dealt to pipeline stages, and which of a stage's layers recompute together.

import type { Recompute } from "../strategy.ts";

/**
 * Layers of each stage. Even split; a remainder goes to the middle stages first, because the ends also carry embedding and head. With
 * `balanceEnds` the embedding and the head each count as one layer (arXiv 2407.21783, section 3.3.2; Megatron's account-for-embedding/loss flags).
 */
export function dealLayers(numLayers: number, numStages: number, balanceEnds: boolean): number[] {
  const units = balanceEnds ? numLayers + 2 : numLayers;
  const base = Math.floor(units / numStages);
  const counts = new Array<number>(numStages).fill(base);
  let rest = units - base * numStages;
  const middleFirst = Array.from({ length: numStages }, (_, i) => i).sort(
    (a, b) => distanceToEnd(b, numStages) - distanceToEnd(a, numStages) || a - b,
  );
  for (const stage of middleFirst) {
    if (rest === 0) break;
    counts[stage]! += 1;
    rest -= 1;
  }
  if (balanceEnds) {
    counts[0]! -= 1;
    counts[numStages - 1]! -= 1;
  }
  return counts;
}

export function sameCounts(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((count, i) => count === b[i]);
}

function distanceToEnd(stage: number, numStages: number): number {
  return Math.min(stage, numStages - 1 - stage);
}

export interface LayerGroup {
  /** Offset in the stage's layers. */
  readonly from: number;
  readonly count: number;
  readonly recompute: Recompute;
}

/** Groups of a stage's layers that form one block each. */
const nothing: Recompute = { kind: "none" };

export function groupLayers(numLayers: number, recompute: Recompute): LayerGroup[] {
  const groups: LayerGroup[] = [];
  const full = recompute.kind === "full" ? recompute : null;
  const numRecomputed = full === null ? 0 : full.numLayers === "all" ? numLayers : Math.min(full.numLayers, numLayers);
  let at = 0;
  while (at < numLayers) {
    const inFull = full !== null && at < numRecomputed;
    const count = inFull ? Math.min(full.everyLayers, numRecomputed - at) : 1;
    groups.push({ from: at, count, recompute: full !== null && !inFull ? nothing : recompute });
    at += count;
  }
  return groups;
}
