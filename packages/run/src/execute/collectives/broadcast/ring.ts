// Pipelined ring broadcast: pieces follow each other from the root around the ring, so a large buffer takes little longer than one hop. The last
// member passes nothing on.

import type { GroupLink } from "../groupLink.ts";

/** Elements of a piece: 256 KiB. */
const pieceElements = 65_536;

export function ringBroadcast(link: GroupLink, view: Float32Array, root: number): void {
  const { size, index } = link;
  const place = (index - root + size) % size;
  const posted = [];
  for (let from = 0; from < Math.max(1, view.length); from += pieceElements) {
    const piece = view.subarray(from, from + pieceElements);
    if (place > 0) link.receive((index - 1 + size) % size, piece);
    if (place < size - 1) posted.push(link.post((index + 1) % size, piece));
  }
  for (const each of posted) link.wait(each);
}

export function ringBroadcastSent(length: number, size: number, index: number, root: number): number {
  return (index - root + size) % size < size - 1 ? length : 0;
}
