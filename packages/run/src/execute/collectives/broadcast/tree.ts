// Binomial broadcast: log2(n) steps, the whole buffer over each edge. For small buffers.

import { binomialTree } from "../binomial.ts";
import type { GroupLink } from "../groupLink.ts";

export function treeBroadcast(link: GroupLink, view: Float32Array, root: number): void {
  const { size, index } = link;
  const memberAt = (place: number) => (place + root) % size;
  const { parent, children } = binomialTree(size, (index - root + size) % size);
  if (parent >= 0) link.receive(memberAt(parent), view);
  // The child with the largest subtree first.
  const posted = children.toReversed().map((child) => link.post(memberAt(child), view));
  for (const each of posted) link.wait(each);
}

export function treeBroadcastSent(length: number, size: number, index: number, root: number): number {
  return length * binomialTree(size, (index - root + size) % size).children.length;
}
