// Two binary trees at once (Sanders, Speck, Traeff, "Two-tree algorithms for full bandwidth broadcast, reduction and scan", Parallel Computing 2009): each carries
// half of the buffer, and a rank that is a leaf of one is inside the other, so every link is used in both directions. The buffer goes in pieces, so levels
// of the trees work at the same time. 2 log2(n) steps of latency and, for many pieces, close to twice the buffer per rank.

import type { GroupLink } from "../groupLink.ts";

/** Elements of a piece: 256 KiB. */
const pieceElements = 65_536;

interface TreeNode {
  readonly parent: number;
  readonly children: readonly number[];
}

/** The in-order binary tree over 0..n-1 (as a search tree would be built by halving), seen from one place. */
function inOrderTree(size: number, place: number): TreeNode {
  let [first, end, parent] = [0, size, -1];
  for (;;) {
    const middle = (first + end) >> 1;
    if (place === middle) {
      const children: number[] = [];
      if (middle > first) children.push((first + middle) >> 1);
      if (end > middle + 1) children.push((middle + 1 + end) >> 1);
      return { parent, children };
    }
    parent = middle;
    if (place < middle) end = middle;
    else first = middle + 1;
  }
}

/** The second tree is the first one, one place further: leaves stand at every second place. */
function trees(size: number, index: number): readonly [TreeNode, TreeNode] {
  const back = (place: number) => (place < 0 ? -1 : (place + 1) % size);
  const second = inOrderTree(size, (index + size - 1) % size);
  return [inOrderTree(size, index), { parent: back(second.parent), children: second.children.map(back) }];
}

export function doubleTreeAllReduce(link: GroupLink, view: Float32Array): void {
  const both = trees(link.size, link.index);
  const middle = view.length >> 1;
  const halves = [view.subarray(0, middle), view.subarray(middle)];
  const numPieces = Math.max(1, Math.ceil(halves[1]!.length / pieceElements));
  const theirs = link.scratch(Math.min(pieceElements, halves[1]!.length));
  const piece = (half: Float32Array, p: number) => half.subarray(p * pieceElements, (p + 1) * pieceElements);
  const up = [];
  for (let p = 0; p < numPieces; p++) {
    for (const [t, { parent, children }] of both.entries()) {
      const sum = piece(halves[t]!, p);
      for (const child of children) {
        const incoming = theirs.subarray(0, sum.length);
        link.receive(child, incoming);
        link.reduce(sum, incoming);
      }
      if (parent >= 0) up.push(link.post(parent, sum));
    }
  }
  for (const each of up) link.wait(each);
  const down = [];
  for (let p = 0; p < numPieces; p++) {
    for (const [t, { parent, children }] of both.entries()) {
      const result = piece(halves[t]!, p);
      if (parent >= 0) link.receive(parent, result);
      for (const child of children) down.push(link.post(child, result));
    }
  }
  for (const each of down) link.wait(each);
}

export function doubleTreeAllReduceSent(length: number, size: number, index: number): number {
  const halves = [length >> 1, length - (length >> 1)];
  return trees(size, index).reduce(
    (sum, { parent, children }, t) => sum + halves[t]! * (children.length + (parent >= 0 ? 1 : 0)),
    0,
  );
}
