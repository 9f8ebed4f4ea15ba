// Byte-pair encoding: starts from the 256 bytes and merges, again and again, the pair of neighbours that is most frequent inside words (arXiv 1508.07909,
// over bytes). Ties go to the pair with the lower ids, so equal text gives equal merges. Words are runs of letters with the space before them, runs of
// digits, runs of other signs, and runs of white space; merges never cross them.
//
// Training keeps the pair counts up to date instead of counting again: a merge touches only the words that hold the pair. 200 kB of text and 1,024 ids take
// about half a second.

/** `merges[k]` are the two ids that became id 256 + k. */
export type Merges = readonly (readonly [number, number])[];

const wordPattern = / ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

export function wordsOf(text: string): string[] {
  return text.match(wordPattern) ?? [];
}

const encoder = new TextEncoder();
/** Ids stay below 2^20, so a pair is one integer. */
const pairBase = 2 ** 20;

interface Word {
  ids: number[];
  readonly count: number;
}

/** @param vocab ids wanted, 256 or more; fewer come back when no pair occurs twice. */
export function learnMerges(documents: readonly string[], vocab: number): Merges {
  const counts = new Map<string, number>();
  for (const text of documents) for (const word of wordsOf(text)) counts.set(word, (counts.get(word) ?? 0) + 1);
  const words: Word[] = [...counts].map(([word, count]) => ({ ids: [...encoder.encode(word)], count }));
  const pairCounts = new Map<number, number>();
  const wordsWith = new Map<number, Set<number>>();
  const enter = (word: number, sign: 1 | -1) => {
    const { ids, count } = words[word]!;
    for (let i = 0; i + 1 < ids.length; i++) {
      const pair = ids[i]! * pairBase + ids[i + 1]!;
      pairCounts.set(pair, (pairCounts.get(pair) ?? 0) + sign * count);
      if (sign < 0) continue;
      const holders = wordsWith.get(pair);
      if (holders === undefined) wordsWith.set(pair, new Set([word]));
      else holders.add(word);
    }
  };
  for (const word of words.keys()) enter(word, 1);
  const merges: [number, number][] = [];
  while (256 + merges.length < vocab) {
    let best = -1;
    let bestCount = 1;
    for (const [pair, count] of pairCounts) {
      if (count > bestCount || (count === bestCount && best >= 0 && pair < best)) [best, bestCount] = [pair, count];
    }
    if (best < 0) break;
    const [left, right] = [Math.floor(best / pairBase), best % pairBase];
    const id = 256 + merges.length;
    merges.push([left, right]);
    for (const word of wordsWith.get(best) ?? []) {
      enter(word, -1);
      words[word]!.ids = mergeIn(words[word]!.ids, left, right, id);
      enter(word, 1);
    }
    pairCounts.delete(best);
    wordsWith.delete(best);
  }
  return merges;
}

/** Every occurrence of the pair, from the left, becomes `id`. */
function mergeIn(ids: readonly number[], left: number, right: number, id: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < ids.length; i++) {
    if (ids[i] === left && ids[i + 1] === right) {
      out.push(id);
      i++;
    } else out.push(ids[i]!);
  }
  return out;
}

/** Ids of one word: the earliest learned merge first, until none applies. */
export function encodeWord(word: string, rankOf: ReadonlyMap<number, number>): number[] {
  let ids = [...encoder.encode(word)];
  for (;;) {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i + 1 < ids.length; i++) {
      const rank = rankOf.get(ids[i]! * pairBase + ids[i + 1]!);
      if (rank !== undefined && rank < best) best = rank;
    }
    if (best === Number.POSITIVE_INFINITY) return ids;
    for (let i = 0; i + 1 < ids.length; i++) {
      if (rankOf.get(ids[i]! * pairBase + ids[i + 1]!) === best) {
        ids = mergeIn(ids, ids[i]!, ids[i + 1]!, 256 + best);
        break;
      }
    }
  }
}

/** Merges by pair: which came how early. */
export function mergeRanks(merges: Merges): Map<number, number> {
  return new Map(merges.map(([left, right], rank) => [left * pairBase + right, rank]));
}
