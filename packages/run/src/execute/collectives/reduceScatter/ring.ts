// Ring reduce-scatter: the first half of a ring all-reduce, turned so that member i ends with part i. n - 1 steps, (n - 1) / n of the input leaves
// each rank. The input stays as it was.

import type { GroupLink } from "../groupLink.ts";

export function ringReduceScatter(link: GroupLink, input: Float32Array, out: Float32Array): void {
  const { size, index } = link;
  const { length } = out;
  const block = (at: number) => input.subarray(at * length, (at + 1) * length);
  if (size === 1) {
    out.set(input);
    return;
  }
  const both = link.scratch(2 * length);
  let sum: Float32Array = block((index + size - 1) % size);
  for (let step = 0; step < size - 1; step++) {
    const isLast = step === size - 2;
    const incoming = isLast ? out : both.subarray((step % 2) * length, (step % 2) * length + length);
    link.exchange((index + 1) % size, sum, (index + size - 1) % size, incoming);
    link.reduce(incoming, block((index - step - 2 + 2 * size) % size));
    sum = incoming;
  }
}

export function ringReduceScatterSent(length: number, size: number): number {
  return (size - 1) * length;
}
