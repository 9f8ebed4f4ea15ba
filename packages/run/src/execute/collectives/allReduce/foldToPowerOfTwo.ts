// Algorithms by halves need a power of two of ranks. Of the r ranks too many, each gives its buffer to the rank below it and gets the result back:
// among the first 2r ranks the odd ones sit out.

import type { GroupLink } from "../groupLink.ts";

export interface Fold {
  /** Ranks that take part, a power of two. */
  readonly numActive: number;
  /** Place among them, or -1 when this rank sits out. */
  readonly active: number;
  /** The member at a place among the active ones. */
  memberAt(active: number): number;
}

export function foldOf(size: number, index: number): Fold {
  const numActive = 2 ** Math.floor(Math.log2(size));
  const extra = size - numActive;
  const sitsOut = index < 2 * extra && index % 2 === 1;
  return {
    numActive,
    active: sitsOut ? -1 : index < 2 * extra ? index / 2 : index - extra,
    memberAt: (active) => (active < extra ? 2 * active : active + extra),
  };
}

/** Runs `algorithm` on the active ranks, with the buffers of the others folded in. */
export function folded(link: GroupLink, view: Float32Array, algorithm: (fold: Fold) => void): void {
  const fold = foldOf(link.size, link.index);
  const extra = link.size - fold.numActive;
  if (fold.active < 0) {
    link.send(link.index - 1, view);
    link.receive(link.index - 1, view);
    return;
  }
  const hasPartner = link.index < 2 * extra;
  if (hasPartner) {
    const theirs = link.scratch(view.length);
    link.receive(link.index + 1, theirs);
    link.reduce(view, theirs);
  }
  algorithm(fold);
  if (hasPartner) link.send(link.index + 1, view);
}

/** Elements that leave a rank, where an active one sends `activeSent` in the algorithm. */
export function foldedSent(
  length: number,
  size: number,
  index: number,
  activeSent: (active: number) => number,
): number {
  const fold = foldOf(size, index);
  if (fold.active < 0) return length;
  return activeSent(fold.active) + (index < 2 * (size - fold.numActive) ? length : 0);
}
