// Counts of an all-to-all in elements, and where the parts lie: packed in order of members on both sides.

import { assert } from "@meshwright/core/units";

export interface AllToAllShape {
  readonly sendCounts: readonly number[];
  readonly sendOffsets: readonly number[];
  readonly recvCounts: readonly number[];
  readonly recvOffsets: readonly number[];
}

export function allToAllShape(
  size: number,
  index: number,
  sendCounts: readonly number[],
  recvCounts: readonly number[],
): AllToAllShape {
  assert(
    sendCounts.length === size && recvCounts.length === size,
    `an all-to-all of ${size} members has a count for each`,
  );
  assert(
    sendCounts[index] === recvCounts[index],
    `a member sends itself what it receives from itself: ${sendCounts[index]} and ${recvCounts[index]} elements`,
  );
  return { sendCounts, sendOffsets: offsetsOf(sendCounts), recvCounts, recvOffsets: offsetsOf(recvCounts) };
}

function offsetsOf(counts: readonly number[]): number[] {
  let at = 0;
  return counts.map((count) => {
    const from = at;
    at += count;
    return from;
  });
}
