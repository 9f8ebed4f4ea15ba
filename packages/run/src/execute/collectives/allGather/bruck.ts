// Bruck's all-gather (Bruck et al., IEEE TPDS 8(11), 1997): in step k a rank sends the 2^k blocks it has to the rank 2^k before it. ceil(log2 n) steps
// for any n, at the price of a rotation in memory.

import type { GroupLink } from "../groupLink.ts";

export function bruckAllGather(link: GroupLink, input: Float32Array, out: Float32Array): void {
  const { size, index } = link;
  const { length } = input;
  // Block j of `turned` comes from member index + j.
  const turned = link.scratch(size * length);
  turned.set(input, 0);
  for (let have = 1; have < size; have *= 2) {
    const count = Math.min(have, size - have) * length;
    const [to, from] = [(index - have + size) % size, (index + have) % size];
    link.exchange(to, turned.subarray(0, count), from, turned.subarray(have * length, have * length + count));
  }
  for (let j = 0; j < size; j++) out.set(turned.subarray(j * length, (j + 1) * length), ((index + j) % size) * length);
}

export function bruckAllGatherSent(length: number, size: number): number {
  return (size - 1) * length;
}
