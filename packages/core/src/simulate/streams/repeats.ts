// Long stages repeat one layer (or a short pattern of layers). After a few repeats the streams are in steady state: each further one
// adds the same time. So a few are simulated and the rest extrapolated; whether the state was steady is checked, and if not all are run.

/** Times the kept list's positions (from, to] stand for in addition to themselves. Positions index `kept`. */
export interface SkippedRepeats {
  readonly times: number;
  /** Steady period: from the end of position `from` to the end of position `to`; `before` is one period earlier. */
  readonly before: number;
  readonly from: number;
  readonly to: number;
}

export interface CompressedBlocks {
  readonly kept: readonly number[];
  readonly skipped: readonly SkippedRepeats[];
}

/** Longest pattern of layers looked for (Gemma-3 alternates 5 local and 1 global layer, Jamba repeats 8 layers). */
const MAX_PATTERN = 8;
/** Repeats kept: entry, transient and steady ones, and an exit. Short patterns need more for prefetch to fill. */
const KEPT_SINGLE = 6;
const KEPT_PATTERN = 4;

export function compressBlocks(blocks: readonly number[]): CompressedBlocks {
  const kept: number[] = [];
  const skipped: SkippedRepeats[] = [];
  for (let i = 0; i < blocks.length; ) {
    let best = { length: 0, repeats: 0 };
    for (let length = 1; length <= Math.min(MAX_PATTERN, (blocks.length - i) >> 1); length++) {
      const repeats = repeatsAt(blocks, i, length);
      if (repeats > keptOf(length) && repeats * length > best.repeats * best.length) best = { length, repeats };
    }
    if (best.repeats === 0) {
      kept.push(blocks[i]!);
      i++;
      continue;
    }
    const { length, repeats } = best;
    const keep = keptOf(length);
    const first = kept.length;
    for (let k = 0; k < keep * length; k++) kept.push(blocks[i + k]!);
    const endOf = (repeat: number) => first + (repeat + 1) * length - 1;
    skipped.push({ times: repeats - keep, before: endOf(keep - 4), from: endOf(keep - 3), to: endOf(keep - 2) });
    i += repeats * length;
  }
  return { kept, skipped };
}

function keptOf(length: number): number {
  return length === 1 ? KEPT_SINGLE : KEPT_PATTERN;
}

function repeatsAt(blocks: readonly number[], at: number, length: number): number {
  let same = length;
  while (at + same < blocks.length && blocks[at + same] === blocks[at + (same % length)]) same++;
  return Math.floor(same / length);
}
