// Ring all-reduce: n - 1 steps in which sums travel around, n - 1 in which results do. Best for large buffers: 2 (n - 1) / n of the buffer leaves each
// rank, the least that is possible. Each part is summed in the order of the ring, starting after its owner.

import { type GroupLink, part, partLength } from "../groupLink.ts";

export function ringAllReduce(link: GroupLink, view: Float32Array): void {
  const { size, index } = link;
  const next = (index + 1) % size;
  const previous = (index + size - 1) % size;
  const received = link.scratch(Math.ceil(view.length / size));
  for (let step = 0; step < size - 1; step++) {
    const outgoing = part(view, size, (index - step + size) % size);
    const sum = part(view, size, (index - step - 1 + 2 * size) % size);
    const incoming = received.subarray(0, sum.length);
    link.exchange(next, outgoing, previous, incoming);
    link.reduce(sum, incoming);
  }
  for (let step = 0; step < size - 1; step++) {
    const outgoing = part(view, size, (index + 1 - step + size) % size);
    link.exchange(next, outgoing, previous, part(view, size, (index - step + size) % size));
  }
}

/** Elements that leave a rank: every part but the next one's, then every part but the one after. */
export function ringAllReduceSent(length: number, size: number, index: number): number {
  if (size === 1) return 0;
  return 2 * length - partLength(length, size, (index + 1) % size) - partLength(length, size, (index + 2) % size);
}
