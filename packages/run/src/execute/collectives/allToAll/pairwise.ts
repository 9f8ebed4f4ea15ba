// Pairwise all-to-all: in step s a rank sends to the member s places on and receives from the one s places back. n - 1 steps, every byte travels once.

import type { GroupLink } from "../groupLink.ts";
import type { AllToAllShape } from "./shape.ts";

export function pairwiseAllToAll(link: GroupLink, input: Float32Array, out: Float32Array, shape: AllToAllShape): void {
  const { size, index } = link;
  const sent = (to: number) => input.subarray(shape.sendOffsets[to], shape.sendOffsets[to]! + shape.sendCounts[to]!);
  const received = (from: number) =>
    out.subarray(shape.recvOffsets[from], shape.recvOffsets[from]! + shape.recvCounts[from]!);
  received(index).set(sent(index));
  for (let step = 1; step < size; step++) {
    const [to, from] = [(index + step) % size, (index - step + size) % size];
    link.exchange(to, sent(to), from, received(from));
  }
}

export function pairwiseAllToAllSent(shape: AllToAllShape, _size: number, index: number): number {
  return shape.sendCounts.reduce((sum, count, to) => sum + (to === index ? 0 : count), 0);
}
