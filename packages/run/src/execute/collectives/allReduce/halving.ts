// Recursive halving and doubling (Rabenseifner, "Optimization of Collective Reduction Operations", ICCS 2004): log2(n) exchanges of ever smaller halves
// leave each rank with its sum, as many of ever larger ones spread it. As few bytes as a ring in 2 log2(n) steps.

import { type GroupLink, partLength, partOf } from "../groupLink.ts";
import { folded, foldedSent } from "./foldToPowerOfTwo.ts";

export function halvingAllReduce(link: GroupLink, view: Float32Array): void {
  folded(link, view, ({ numActive, active, memberAt }) => {
    // Blocks [first, first + blocks) of numActive are this rank's share so far.
    const range = (first: number, blocks: number) =>
      view.subarray(partOf(view.length, numActive, first)[0], partOf(view.length, numActive, first + blocks - 1)[1]);
    let first = 0;
    for (let half = numActive / 2; half >= 1; half /= 2) {
      const peer = memberAt(active ^ half);
      const keepsUpper = (active & half) !== 0;
      const kept = range(keepsUpper ? first + half : first, half);
      const theirs = link.scratch(kept.length);
      link.exchange(peer, range(keepsUpper ? first : first + half, half), peer, theirs);
      link.reduce(kept, theirs);
      if (keepsUpper) first += half;
    }
    for (let half = 1; half < numActive; half *= 2) {
      const peer = memberAt(active ^ half);
      const sibling = (active & half) !== 0 ? first - half : first + half;
      link.exchange(peer, range(first, half), peer, range(sibling, half));
      first = Math.min(first, sibling);
    }
  });
}

/** All blocks but its own leave an active rank while halving; while doubling, its range of each step. */
export function halvingAllReduceSent(length: number, size: number, index: number): number {
  return foldedSent(length, size, index, (active) => {
    const numActive = 2 ** Math.floor(Math.log2(size));
    let sent = length - partLength(length, numActive, active);
    for (let half = 1; half < numActive; half *= 2) {
      const first = active - (active % half);
      sent += partOf(length, numActive, first + half - 1)[1] - partOf(length, numActive, first)[0];
    }
    return sent;
  });
}
