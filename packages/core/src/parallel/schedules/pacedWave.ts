// One rule that draws Chimera, Hanayo and BitPipe: with F and BW of equal length (one slot), micro-batches enter a replica every second
// slot, in groups, and then never wait. F of stage s runs in slot e + s, BW in slot e + 2S - 1 - s, where e is the entry slot.
//
// Why ranks never collide: every two stages of one direction on a rank differ by an odd number of slots at each turn, so even
// and odd slots of a rank belong to different chunks; in each parity the next chunk begins where the last micro-batch of the group
// left the one before. A group of a micro-batches per replica (a = p alone, p/2 with two replicas) fills exactly 2S slots of each
// rank, so the next group enters 2S slots later and the idle slots stay those of one group. The result is the order only:
// ranks then run it in order with their real durations.

import { assert } from "../../units/errors.ts";
import type { Placement } from "./placement.ts";
import type { RankActions } from "./rankActions.ts";
import { encodeAction } from "./types.ts";

/** @param groupSize micro-batches of one replica in flight. Placement: wave, two-way or two-way wave. */
export function pacedWave(
  placement: Placement,
  microBatchesOf: readonly (readonly number[])[],
  groupSize: number,
): RankActions[] {
  const { numRanks, numChunks, numStages, stageOf, replicaOf } = placement;
  const longest = Math.max(...microBatchesOf.map((share) => share.length));
  const numSlots = entrySlot(longest - 1, groupSize, numStages) + 2 * numStages;
  const slots = new Int32Array(numSlots);
  const lists: RankActions[] = [];
  for (let rank = 0; rank < numRanks; rank++) {
    slots.fill(-1);
    let length = 0;
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const stage = stageOf[rank]![chunk]!;
      const share = microBatchesOf[replicaOf[rank]![chunk]!]!;
      for (let i = 0; i < share.length; i++) {
        const entry = entrySlot(i, groupSize, numStages);
        const forward = entry + stage;
        const backward = entry + 2 * numStages - 1 - stage;
        assert(
          slots[forward]! < 0 && slots[backward]! < 0,
          `slots ${forward} and ${backward} of rank ${rank} are free`,
        );
        slots[forward] = encodeAction("F", chunk, share[i]!);
        slots[backward] = encodeAction("BW", chunk, share[i]!);
        length += 2;
      }
    }
    const codes = new Int32Array(length);
    let at = 0;
    for (let slot = 0; slot < numSlots; slot++) if (slots[slot]! >= 0) codes[at++] = slots[slot]!;
    lists.push({ codes, length });
  }
  return lists;
}

function entrySlot(index: number, groupSize: number, numStages: number): number {
  return Math.floor(index / groupSize) * 2 * numStages + 2 * (index % groupSize);
}
