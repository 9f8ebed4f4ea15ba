// In which ways the layers of a model can be dealt to pipeline ranks.

import { dealLayers } from "../../parallel/lower/index.ts";

export interface Deal {
  /** Layers of the last rank, and of the stages that a micro-batch passes before it. */
  readonly last: number;
  readonly fill: number;
  /** Layers of the rank with fewest, and of the one with most. */
  readonly fewest: number;
  readonly most: number;
}

const deals = new Map<string, readonly Deal[]>();

/** Distinct ways in which 1, 2, ... chunks per rank deal the layers. */
export function dealsOf(numLayers: number, pp: number): readonly Deal[] {
  const key = `${numLayers}:${pp}`;
  let list = deals.get(key);
  if (list === undefined) {
    const found = new Map<string, Deal>();
    for (let v = 1; pp * (v - 1) <= numLayers + 2; v++) {
      for (const balance of [false, true]) {
        if (pp * v > numLayers + (balance ? 2 : 0)) continue;
        const counts = dealLayers(numLayers, pp * v, balance);
        const perRank = new Array<number>(pp).fill(0);
        counts.forEach((count, s) => {
          perRank[s % pp]! += count;
        });
        let fill = 0;
        for (let s = 0; s < pp - 1; s++) fill += counts[s]!;
        const deal = { last: perRank[pp - 1]!, fill, fewest: Math.min(...perRank), most: Math.max(...perRank) };
        found.set(`${deal.last}:${deal.fill}:${deal.fewest}:${deal.most}`, deal);
      }
    }
    list = [...found.values()];
    deals.set(key, list);
  }
  return list;
}
