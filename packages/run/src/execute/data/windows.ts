// Packing: the corpus as one stream of tokens, cut into windows of a sequence's length, documents running on into one another. A window's targets reach
// `lookAhead` tokens into the next. Which windows are kept for evaluation depends on the text alone, so that losses of different seeds compare.

import { assert } from "@meshwright/core";
import { InputError } from "@meshwright/core/units";
import { hashUnit } from "../../reference/hash.ts";

export interface TokenWindows {
  readonly tokens: Int32Array;
  readonly seqLen: number;
  /** Window numbers: window w starts at token w x seqLen. */
  readonly train: Int32Array;
  readonly evaluation: Int32Array;
}

export function cutWindows(
  tokens: Int32Array,
  cut: { readonly seqLen: number; readonly lookAhead: number; readonly evalFrac: number },
): TokenWindows {
  const { seqLen, lookAhead, evalFrac } = cut;
  const numWindows = Math.floor((tokens.length - lookAhead) / seqLen);
  if (numWindows < 2) {
    throw new InputError({
      path: "--data",
      message: `${tokens.length} tokens are no two sequences of ${seqLen}, one to train on and one to evaluate with`,
      hint: "give more text or shorter sequences",
    });
  }
  const isEval = Array.from({ length: numWindows }, (_, w) => hashUnit("evaluation window", w) < evalFrac);
  // A small corpus may have drawn none, or all.
  if (evalFrac > 0 && !isEval.includes(true)) isEval[numWindows - 1] = true;
  if (!isEval.includes(false)) isEval[0] = false;
  const pick = (wanted: boolean) => Int32Array.from(isEval.flatMap((is, w) => (is === wanted ? [w] : [])));
  return { tokens, seqLen, train: pick(false), evaluation: pick(true) };
}

export function tokenAt(windows: TokenWindows, window: number, position: number): number {
  const id = windows.tokens[window * windows.seqLen + position];
  assert(id !== undefined, `token ${position} of window ${window} lies in the corpus`);
  return id;
}
