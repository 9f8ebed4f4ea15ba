// Binomial tree: sums flow to the first member, the result flows back. 2 log2(n) steps; few messages, but the root's link carries log2(n) buffers.

import { binomialTree } from "../binomial.ts";
import type { GroupLink } from "../groupLink.ts";

export function treeAllReduce(link: GroupLink, view: Float32Array): void {
  const { parent, children } = binomialTree(link.size, link.index);
  const theirs = link.scratch(view.length);
  for (const child of children) {
    link.receive(child, theirs);
    link.reduce(view, theirs);
  }
  if (parent >= 0) {
    link.send(parent, view);
    link.receive(parent, view);
  }
  // The child with the largest subtree first.
  const posted = children.toReversed().map((child) => link.post(child, view));
  for (const each of posted) link.wait(each);
}

export function treeAllReduceSent(length: number, size: number, index: number): number {
  const { parent, children } = binomialTree(size, index);
  return length * (children.length + (parent >= 0 ? 1 : 0));
}
