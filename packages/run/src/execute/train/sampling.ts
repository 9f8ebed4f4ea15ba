// The next token from a row of logits: temperature, the k most likely, and a draw that is a pure function of (seed, position).

import { hashUnit } from "../../reference/hash.ts";

export interface SamplingOptions {
  /** 0 takes the most likely token. */
  readonly temperature: number;
  /** Only the k most likely tokens; 0 or less: all. */
  readonly topK: number;
  readonly seed: number;
}

/** @param logits one per id. @param position how many tokens were drawn before. */
export function drawToken(logits: ArrayLike<number>, options: SamplingOptions, position: number): number {
  const { temperature, topK, seed } = options;
  const order = Array.from({ length: logits.length }, (_, id) => id).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (temperature === 0) return order[0]!;
  const kept = topK > 0 ? order.slice(0, topK) : order;
  const top = logits[kept[0]!]!;
  const weights = kept.map((id) => Math.exp((logits[id]! - top) / temperature));
  let left = hashUnit("sample", seed, position) * weights.reduce((sum, weight) => sum + weight, 0);
  for (const [i, weight] of weights.entries()) {
    left -= weight;
    if (left < 0) return kept[i]!;
  }
  return kept.at(-1)!; // rounding left a rest
}
