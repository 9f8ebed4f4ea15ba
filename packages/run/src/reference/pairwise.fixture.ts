// Covering sets: a small list of cases in which every pair of choices of two factors that can go together occurs. Greedy, seeded.

import { hash32 } from "./hash.ts";

/** Random tries per pair, and how many more where neither they nor earlier cases give a valid one. */
const numRandom = 40;
const numDesperate = 3000;

export type Choice<F> = { readonly [K in keyof F]: F[K] extends readonly (infer V)[] ? V : never };

/**
 * @param factors values per factor.  @param isValid whether a full case may be run.
 * @returns cases, and the pairs that no valid case could be found for, as the two choices.
 */
export function coveringSet<F extends Record<string, readonly unknown[]>>(
  factors: F,
  isValid: (choice: Choice<F>) => boolean,
): { readonly cases: readonly Choice<F>[]; readonly uncoverable: readonly Partial<Choice<F>>[] } {
  const names = Object.keys(factors);
  const sizes = names.map((name) => factors[name]!.length);
  const pairKey = (a: number, i: number, b: number, j: number) => `${names[a]}=${i} ${names[b]}=${j}`;
  const open = new Map<string, readonly [number, number, number, number]>();
  for (let a = 0; a < names.length; a++) {
    for (let b = a + 1; b < names.length; b++) {
      for (let i = 0; i < sizes[a]!; i++)
        for (let j = 0; j < sizes[b]!; j++) open.set(pairKey(a, i, b, j), [a, i, b, j]);
    }
  }
  const toChoice = (indices: readonly number[]) =>
    // Every factor has its own entry, so the record is complete.
    Object.fromEntries(names.map((name, f) => [name, factors[name]![indices[f]!]])) as Choice<F>;
  const pairsOf = (indices: readonly number[]) => {
    const keys: string[] = [];
    for (let a = 0; a < names.length; a++)
      for (let b = a + 1; b < names.length; b++) keys.push(pairKey(a, indices[a]!, b, indices[b]!));
    return keys;
  };
  const gainOf = (indices: readonly number[]) => pairsOf(indices).filter((pair) => open.has(pair)).length;
  const found: number[][] = [];
  const uncoverable: Partial<Choice<F>>[] = [];
  for (let draw = 0; open.size > 0; draw++) {
    const [key, [a, i, b, j]] = open.entries().next().value!; // open is not empty
    const candidates: number[][] = [];
    // Random cases, and earlier valid ones, with the wanted pair put in.
    for (let attempt = 0; attempt < numRandom + found.length + numDesperate; attempt++) {
      const known = found[attempt - numRandom];
      const indices = known?.slice() ?? sizes.map((size, f) => hash32("pairwise", draw, attempt, f) % size);
      indices[a] = i;
      indices[b] = j;
      if (isValid(toChoice(indices))) candidates.push(indices);
      if (candidates.length >= 4 && attempt >= numRandom) break;
      if (candidates.length > 0 && attempt >= numRandom + found.length) break;
    }
    const best = candidates.reduce<number[] | null>(
      (top, next) => (top === null || gainOf(next) > gainOf(top) ? next : top),
      null,
    );
    if (best === null) {
      const pair = { [names[a]!]: factors[names[a]!]![i], [names[b]!]: factors[names[b]!]![j] };
      uncoverable.push(pair as Partial<Choice<F>>);
      open.delete(key);
      continue;
    }
    // One sweep of hill climbing: the other factors take whichever value covers most.
    for (let f = 0; f < names.length; f++) {
      if (f === a || f === b) continue;
      for (let value = 0; value < sizes[f]!; value++) {
        const trial = best.with(f, value);
        if (gainOf(trial) > gainOf(best) && isValid(toChoice(trial))) best[f] = value;
      }
    }
    found.push(best);
    for (const pair of pairsOf(best)) open.delete(pair);
  }
  return { cases: found.map(toChoice), uncoverable };
}
