// A rank engine that is alone: no messages, f32 arrays of its own.

import { lowerTraining } from "@meshwright/core";
import type { MatMemory } from "../../reference/matMemory.ts";
import { initialValue } from "../../reference/slices.ts";
import { plainChoice, type TinyCase, type TinyChoice, tinyCase } from "../../reference/tinyCases.fixture.ts";
import type { RankLink } from "./links.ts";
import { RankEngine, type RankEngineOptions } from "./rankEngine.ts";

export const f32Heap: MatMemory = {
  // Matrices begin somewhere inside, as they do in an arena.
  allocate: (rows, cols, slack) => ({
    data: new Float32Array(rows * cols + slack + 3),
    rows,
    cols,
    stride: cols,
    offset: 3,
  }),
  release: () => {},
};

function silent(): never {
  throw new Error("A rank that is alone sends nothing");
}

export const alone: RankLink = { rank: 0, numRanks: 1, post: silent, wait: silent, receive: silent };

export function oneRank(
  choice: Partial<TinyChoice>,
  options: Partial<RankEngineOptions> = {},
  change: (given: TinyCase) => TinyCase = (given) => given,
): { readonly engine: RankEngine; readonly given: TinyCase } {
  const given = change(tinyCase({ ...plainChoice, ...choice }));
  const program = lowerTraining(given.model, given.strategy, given.workload, given.software);
  const engine = new RankEngine({
    program,
    rank: 0,
    link: alone,
    groups: silent,
    memory: f32Heap,
    vocab: given.model.vocab,
    initial: initialValue,
    rounds: false,
    poison: true,
    recordsSpans: false,
    ...options,
  });
  return { engine, given };
}
