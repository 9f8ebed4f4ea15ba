// Ring all-gather: every rank passes on what it got last. n - 1 steps, (n - 1) / n of the output leaves each rank.

import type { GroupLink } from "../groupLink.ts";

export function ringAllGather(link: GroupLink, input: Float32Array, out: Float32Array): void {
  const { size, index } = link;
  const block = (at: number) => out.subarray(at * input.length, (at + 1) * input.length);
  block(index).set(input);
  for (let step = 0; step < size - 1; step++) {
    const outgoing = (index - step + size) % size;
    link.exchange((index + 1) % size, block(outgoing), (index + size - 1) % size, block((outgoing + size - 1) % size));
  }
}

export function ringAllGatherSent(length: number, size: number): number {
  return (size - 1) * length;
}
