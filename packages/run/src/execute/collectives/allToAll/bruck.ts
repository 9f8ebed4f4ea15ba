// Bruck's all-to-all (Bruck et al., IEEE TPDS 8(11), 1997): in step k every block whose distance has bit k set moves 2^k places. ceil(log2 n) messages
// instead of n - 1, with about log2(n) / 2 times the bytes: for small blocks. All blocks must have one size.

import { assert } from "@meshwright/core/units";
import type { GroupLink } from "../groupLink.ts";
import type { AllToAllShape } from "./shape.ts";

export function bruckAllToAll(link: GroupLink, input: Float32Array, out: Float32Array, shape: AllToAllShape): void {
  const { size, index } = link;
  const length = shape.sendCounts[0]!;
  assert(
    shape.sendCounts.every((count) => count === length) && shape.recvCounts.every((count) => count === length),
    "Bruck's all-to-all takes blocks of one size",
  );
  const memory = link.scratch((2 * size + 1) * length);
  /** Block d is on its way to the member d places on; after the last step, block d came from d places back. */
  const block = (d: number) => memory.subarray(d * length, (d + 1) * length);
  for (let d = 0; d < size; d++) {
    const to = (index + d) % size;
    block(d).set(input.subarray(to * length, (to + 1) * length));
  }
  for (let bit = 1; bit < size; bit *= 2) {
    const moving = [];
    for (let d = 1; d < size; d++) if ((d & bit) !== 0) moving.push(d);
    const half = Math.ceil(size / 2);
    const outgoing = memory.subarray(size * length, (size + moving.length) * length);
    const incoming = memory.subarray((size + half) * length, (size + half + moving.length) * length);
    for (const [i, d] of moving.entries()) outgoing.set(block(d), i * length);
    link.exchange((index + bit) % size, outgoing, (index - bit + size) % size, incoming);
    for (const [i, d] of moving.entries()) block(d).set(incoming.subarray(i * length, (i + 1) * length));
  }
  for (let d = 0; d < size; d++) out.set(block(d), ((index - d + size) % size) * length);
}

export function bruckAllToAllSent(shape: AllToAllShape, size: number): number {
  let blocks = 0;
  for (let bit = 1; bit < size; bit *= 2) for (let d = 1; d < size; d++) if ((d & bit) !== 0) blocks += 1;
  return blocks * shape.sendCounts[0]!;
}
