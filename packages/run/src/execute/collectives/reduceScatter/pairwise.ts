// Pairwise reduce-scatter: every rank sends each owner its part, and owners sum in the order of distance. One step of n - 1 messages, for small buffers.

import type { GroupLink } from "../groupLink.ts";

export function pairwiseReduceScatter(link: GroupLink, input: Float32Array, out: Float32Array): void {
  const { size, index } = link;
  const { length } = out;
  const posted = [];
  for (let step = 1; step < size; step++) {
    const to = (index + step) % size;
    posted.push(link.post(to, input.subarray(to * length, (to + 1) * length)));
  }
  out.set(input.subarray(index * length, (index + 1) * length));
  const theirs = link.scratch(length);
  for (let step = 1; step < size; step++) {
    link.receive((index - step + size) % size, theirs);
    link.reduce(out, theirs);
  }
  for (const each of posted) link.wait(each);
}

export function pairwiseReduceScatterSent(length: number, size: number): number {
  return (size - 1) * length;
}
