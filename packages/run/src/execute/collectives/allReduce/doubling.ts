// Recursive doubling: log2(n) exchanges of the whole buffer. Best for small buffers, where the number of steps is what counts.

import type { GroupLink } from "../groupLink.ts";
import { folded, foldedSent } from "./foldToPowerOfTwo.ts";

export function doublingAllReduce(link: GroupLink, view: Float32Array): void {
  folded(link, view, ({ numActive, active, memberAt }) => {
    const theirs = link.scratch(view.length);
    for (let distance = 1; distance < numActive; distance *= 2) {
      const peer = memberAt(active ^ distance);
      link.exchange(peer, view, peer, theirs);
      link.reduce(view, theirs);
    }
  });
}

export function doublingAllReduceSent(length: number, size: number, index: number): number {
  return foldedSent(length, size, index, () => Math.floor(Math.log2(size)) * length);
}
