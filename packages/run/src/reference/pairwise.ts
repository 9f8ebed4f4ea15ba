// Covering sets: a small list of cases in which every pair of choices of two factors that can go together occurs. Greedy, seeded.

import { hash32 } from "./hash.ts";

export type Choice<F> = { readonly [K in keyof F]: F[K] extends readonly (infer V)[] ? V : never };

/**
 * @param factors values per factor.  @param isValid whether a full case may be run.
 * @returns cases, and the pairs that no valid case could be found for (as `factor=i factor=j`).
 */
export function coveringSet<F extends Record<string, readonly unknown[]>>(
  factors: F,
  isValid: (choice: Choice<F>) => boolean,
): { readonly cases: readonly Choice<F>[]; readonly uncoverable: readonly string[] } {
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
  const cases: Choice<F>[] = [];
  const uncoverable: string[] = [];
  let draw = 0;
  while (open.size > 0) {
    const [key, [a, i, b, j]] = open.entries().next().value!;
    let best: number[] | null = null;
    let bestGain = -1;
    for (let attempt = 0; attempt < 300 && (attempt < 40 || best === null); attempt++) {
      const indices = sizes.map((size, f) => hash32("pairwise", draw, attempt, f) % size);
      indices[a] = i;
      indices[b] = j;
      if (!isValid(toChoice(indices))) continue;
      const gain = pairsOf(indices).filter((pair) => open.has(pair)).length;
      if (gain > bestGain) [best, bestGain] = [indices, gain];
    }
    draw++;
    if (best === null) {
      uncoverable.push(key);
      open.delete(key);
      continue;
    }
    cases.push(toChoice(best));
    for (const pair of pairsOf(best)) open.delete(pair);
  }
  return { cases, uncoverable };
}
