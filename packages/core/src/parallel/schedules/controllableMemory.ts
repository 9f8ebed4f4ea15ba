// V-Half and V-Min: V placement like ZB-V with a building block that keeps each micro-batch's activations for a shorter time. The
// block gives the slots of F and B of both chunks on every rank (F, B, W of one slot each); repeated every 6 slots it never collides.
//   V-Half: F of chunk 0 and B of chunk 1 move a rank every 2 slots, the others every slot  - about p/2 micro-batches stashed
//   V-Min:  everything moves a rank every slot                                               - about p/3
// An extra gap before B turns up where the plain offsets would meet a slot of the same rank (p even, p a multiple of 3).
//
// Weight gradients take the free slots. Then the start and the end are squeezed as the paper does: actions move to the earliest free slot
// that their inputs and the block's own peak memory allow. That fixes the order of F and B; W is placed again for the real costs
// under the same peak (`weightFill`).

import { assert } from "../../units/errors.ts";
import { costsOf, requireCounts } from "./admissible.ts";
import { wavePlacement } from "./placement.ts";
import { assembleSchedule, type RankActions } from "./rankActions.ts";
import { encodeAction, type Schedule, type ScheduleFamily, type ScheduleRequest } from "./types.ts";
import { orderGraph, weightFill } from "./weightFill.ts";

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
  const grid = repeatBlock(name, numRanks, numMicroBatches, blockOf);
  squeeze(grid);
  const orders: RankActions[] = grid.slots.map((slots) => {
    const codes = slots.filter((code) => code >= 0 && (code & 3) !== weight);
    return { codes, length: codes.length };
  });
  const placement = wavePlacement(numRanks, 2);
  const { stashLimit } = grid;
  const { lists } = weightFill({
    order: orderGraph(placement, numMicroBatches, orders),
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

/** The repeated block on a grid of ranks x slots. */
interface SlotGrid {
  readonly numRanks: number;
  readonly numMicroBatches: number;
  /** Per rank and slot: the encoded action, or -1. W are in order of their B and name no micro-batch. */
  readonly slots: Int32Array[];
  /** Per rank and slot: stashes held from this slot on. */
  readonly held: Int32Array[];
  /** Per rank, slots of [F chunk 0, F chunk 1, B chunk 1, B chunk 0] by micro-batch. */
  readonly slotOf: (readonly Int32Array[])[];
  /** Most stashes any rank holds. */
  readonly stashLimit: number;
}

const weight = 2;

/** Blocks at every `period` slots, and a pending W in every free slot. */
function repeatBlock(name: string, numRanks: number, numMicroBatches: number, blockOf: BlockOf): SlotGrid {
  // The last W follow the last B: at most all of them.
  const numSlots = blockOf(0, numRanks)[3] + period * numMicroBatches + 2 * numMicroBatches;
  const grid = {
    numRanks,
    numMicroBatches,
    slots: [] as Int32Array[],
    held: [] as Int32Array[],
    slotOf: [] as Int32Array[][],
  };
  let stashLimit = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    const block = blockOf(rank, numRanks);
    const slots = new Int32Array(numSlots).fill(-1);
    const held = new Int32Array(numSlots);
    const slotOf = block.map((first) => Int32Array.from({ length: numMicroBatches }, (_, i) => first + period * i));
    for (let k = 0; k < 4; k++) {
      for (let i = 0; i < numMicroBatches; i++) {
        const slot = slotOf[k]![i]!;
        assert(slots[slot] === -1, `${name}: slot ${slot} of rank ${rank} is free`);
        slots[slot] = encodeAction(kinds[k]!, chunks[k]!, i);
      }
    }
    let count = 0;
    let pending = 0;
    for (let slot = 0; slot < numSlots; slot++) {
      const code = slots[slot]!;
      if (code < 0 && pending > 0) {
        slots[slot] = encodeAction("W", 0, 0);
        pending--;
        count--;
      } else if (code >= 0) {
        if ((code & 3) === 0) count++;
        else pending++;
      }
      held[slot] = count;
      if (count > stashLimit) stashLimit = count;
    }
    grid.slots.push(slots);
    grid.held.push(held);
    grid.slotOf.push(slotOf);
  }
  return { ...grid, stashLimit };
}

/**
 * Moves the actions of the start (before the first B leaves rank 0) and of the end (after the last F enters it) to the earliest free slot
 * after what they need, as far as the rank's stash stays within the limit. The steady state between is left alone.
 */
function squeeze({ numRanks, numMicroBatches, slots, held, slotOf, stashLimit }: SlotGrid): void {
  const numSlots = slots[0]!.length;
  const startEnd = slotOf[0]![3]![0]!;
  const endStart = slotOf[0]![0]![numMicroBatches - 1]!;
  // Per rank, slots of its B so far, ascending: the j-th W needs the j-th B.
  const backwardSlots: number[][] = slots.map(() => []);
  const numWeights = new Int32Array(numRanks);
  const lastWeight = new Int32Array(numRanks).fill(-1);
  for (let slot = 0; slot < numSlots; slot++) {
    for (let rank = 0; rank < numRanks; rank++) {
      const code = slots[rank]![slot]!;
      if (code < 0) continue;
      const isMovable = slot <= startEnd || slot >= endStart;
      const kind = code & 3;
      const microBatch = code >> 10;
      const k = kind === 0 ? (code >> 2) & 255 : 3 - ((code >> 2) & 255);
      let after: number;
      if (kind === weight) after = Math.max(backwardSlots[rank]![numWeights[rank]!]!, lastWeight[rank]!);
      else
        after = Math.max(
          needSlot(slotOf, rank, k, microBatch),
          microBatch > 0 ? slotOf[rank]![k]![microBatch - 1]! : -1,
        );
      let to = slot;
      if (isMovable) {
        for (let candidate = after + 1; candidate < slot; candidate++) {
          if (slots[rank]![candidate]! >= 0) continue;
          if (kind === 0 && !hasRoom(held[rank]!, candidate, slot, stashLimit)) continue;
          to = candidate;
          break;
        }
      }
      if (to < slot) {
        slots[rank]![slot] = -1;
        slots[rank]![to] = code;
        const change = kind === 0 ? 1 : kind === weight ? -1 : 0;
        for (let t = to; t < slot; t++) held[rank]![t]! += change;
      }
      if (kind === weight) {
        numWeights[rank]!++;
        lastWeight[rank] = to;
      } else {
        slotOf[rank]![k]![microBatch] = to;
        if (kind === 1) insertAscending(backwardSlots[rank]!, to);
      }
    }
  }
}

/** Slot of the action whose output is needed: down the ranks for F chunk 0 and B chunk 1, up for the others, at the turn the rank's own. */
function needSlot(slotOf: SlotGrid["slotOf"], rank: number, k: number, microBatch: number): number {
  const isDown = k === 0 || k === 2;
  const from = isDown ? rank - 1 : rank + 1;
  if (from >= 0 && from < slotOf.length) return slotOf[from]![k]![microBatch]!;
  return k === 0 ? -1 : slotOf[rank]![k - 1]![microBatch]!;
}

function hasRoom(held: Int32Array, from: number, to: number, limit: number): boolean {
  for (let slot = from; slot < to; slot++) if (held[slot]! >= limit) return false;
  return true;
}

function insertAscending(values: number[], value: number): void {
  let at = values.length;
  while (at > 0 && values[at - 1]! > value) at--;
  values.splice(at, 0, value);
}
