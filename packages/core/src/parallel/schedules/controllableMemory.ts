// V-Half and V-Min: V placement like ZB-V with a building block that keeps each micro-batch's activations for a shorter time. The
// block gives the slots of F and B of both chunks on every rank (F, B, W of one slot each); repeated every 6 slots it never collides.
//   V-Half: F of chunk 0 and B of chunk 1 move a rank every 2 slots, the others every slot  - about p/2 micro-batches stashed
//   V-Min:  everything moves a rank every slot                                               - about p/3
// An extra gap before B turns up where the plain offsets would meet a slot of the same rank (p even, p a multiple of 3).
//
// Weight gradients take the free slots. The order of F and B is kept, W is then placed for the real costs under the block's peak
// (`weightFill`), which squeezes out the empty slots of the start and the end as the paper does.

import { assert } from "../../units/errors.ts";
import { costsOf, requireCounts } from "./admissible.ts";
import { wavePlacement } from "./placement.ts";
import { assembleSchedule, type RankActions } from "./rankActions.ts";
import { encodeAction, type Schedule, type ScheduleFamily, type ScheduleRequest } from "./types.ts";
import { weightFill } from "./weightFill.ts";

/** Slots of F chunk 0, F chunk 1, B chunk 1, B chunk 0 of micro-batch 0. */
type BlockOf = (rank: number, numRanks: number) => readonly [number, number, number, number];

/** Stash about p/2 micro-batches (p + 2 half-size chunks); idle time about half of 1F1B's. */
export const vHalf: ScheduleFamily = family("v-half", "V-Half", (rank, numRanks) => {
  const gap = numRanks % 2 === 0 ? 3 : 0;
  return [2 * rank, 3 * numRanks - rank - 2, 3 * numRanks + gap + 2 * rank - 1, 6 * numRanks + gap - rank - 2];
});

/** Stash about p/3 micro-batches (2p/3 + 2 half-size chunks); idle time about two thirds of 1F1B's. */
export const vMin: ScheduleFamily = family("v-min", "V-Min", (rank, numRanks) => {
  const gap = numRanks % 3 === 0 ? 2 : 0;
  return [rank, 2 * numRanks - rank - 1, 2 * numRanks + gap + rank, 4 * numRanks + gap - rank - 1];
});

function family(name: string, title: string, blockOf: BlockOf): ScheduleFamily {
  return {
    name,
    title,
    source: "arXiv 2405.15362, section 3",
    chunks: { fixed: 2 },
    splitBackward: true,
    check: requireCounts,
    build: (request) => build(name, request, blockOf),
  };
}

const kinds = ["F", "F", "B", "B"] as const;
const chunks = [0, 1, 1, 0] as const;
const period = 6;

function build(name: string, request: ScheduleRequest, blockOf: BlockOf): Schedule {
  const { numRanks, numMicroBatches } = request;
  const orders: RankActions[] = [];
  let stashLimit = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    const block = blockOf(rank, numRanks);
    const slots = new Int32Array(block[3] + period * numMicroBatches).fill(-1);
    for (let k = 0; k < 4; k++) {
      for (let i = 0; i < numMicroBatches; i++) {
        const slot = block[k]! + period * i;
        assert(slots[slot] === -1, `${name}: slot ${slot} of rank ${rank} is free`);
        slots[slot] = encodeAction(kinds[k]!, chunks[k]!, i);
      }
    }
    stashLimit = Math.max(stashLimit, peakOfSlots(slots));
    const codes = slots.filter((code) => code >= 0);
    orders.push({ codes, length: codes.length });
  }
  const placement = wavePlacement(numRanks, 2);
  const { lists } = weightFill({
    placement,
    numMicroBatches,
    orders,
    costs: costsOf(request),
    stashLimit,
    policy: "patient",
  });
  return assembleSchedule({
    name,
    placement,
    numMicroBatches,
    splitBackward: true,
    lists,
    stashBoundChunks: () => stashLimit,
  });
}

/** Most stashes held when a pending W runs in every free slot. */
function peakOfSlots(slots: Int32Array): number {
  let held = 0;
  let pending = 0;
  let peak = 0;
  for (const code of slots) {
    if (code < 0) {
      if (pending > 0) {
        pending--;
        held--;
      }
    } else if ((code & 3) === 0) {
      held++;
      if (held > peak) peak = held;
    } else pending++;
  }
  return peak;
}
