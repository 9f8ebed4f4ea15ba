// DualPipe and DualPipe-V: forward of one micro-batch and backward of another run together on a rank, so that the communication
// of one hides behind the compute of the other. DualPipe feeds micro-batches from both ends (two replicas, each rank one stage of both);
// DualPipe-V folds it to one replica in V placement on half as many ranks.
//
// The eight steps are those of DeepSeek's published schedule (deepseek-ai/DualPipe). Backward is whole (BW) in the middle; where only
// waiting would be gained it is split, and the weight gradients queue up and run in order.

import { costsOf, requireCounts } from "./admissible.ts";
import { type Placement, shareTwoWays, twoWayPlacement, wavePlacement } from "./placement.ts";
import { assembleSchedule, push, type RankActions, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Stash p + 1 chunks of a whole rank's layers; parameters twice (arXiv 2412.19437 table 2).
 * Idle time (p/2 - 1)(F&B + BW - 3W), with F&B the time of an overlapped pair; here F&B = F + B + W (no gain from overlap)
 * and F = B = W, where the simulation agrees exactly; for other ratios it differs by a few chunk durations either way.
 */
export const dualPipe: ScheduleFamily = {
  name: "dualpipe",
  title: "DualPipe",
  source: "arXiv 2412.19437, section 3.2.1 and table 2",
  chunks: { fixed: 2 },
  splitBackward: true,
  check: (request) => {
    const { numRanks, numMicroBatches } = request;
    const findings = [...requireCounts(request)];
    if (numRanks % 2 !== 0) findings.push(`it needs an even number of pipeline ranks, not ${numRanks}`);
    if (numMicroBatches % 2 !== 0) findings.push(`it needs an even number of micro-batches, not ${numMicroBatches}`);
    if (numMicroBatches < 2 * numRanks) findings.push(tooFew(numMicroBatches, numRanks));
    return findings;
  },
  build: buildDualPipe,
  bubbleFrac: (request) => bubbleFrac(request, request.numRanks / 2 - 1, 1),
};

/** Stash 2p + 1 chunks of half a rank's layers, parameters once. Idle time as DualPipe with 2p ranks, in chunk durations. */
export const dualPipeV: ScheduleFamily = {
  name: "dualpipe-v",
  title: "DualPipe-V",
  source: "deepseek-ai/DualPipe (dualpipev.py), after arXiv 2412.19437",
  chunks: { fixed: 2 },
  splitBackward: true,
  check: (request) => {
    const findings = [...requireCounts(request)];
    if (request.numMicroBatches < 2 * request.numRanks)
      findings.push(tooFew(request.numMicroBatches, request.numRanks));
    return findings;
  },
  build: buildDualPipeV,
  bubbleFrac: (request) => bubbleFrac(request, request.numRanks - 1, 2),
};

function bubbleFrac(request: ScheduleRequest, factor: number, chunksPerMicroBatch: number): number | undefined {
  const { F, B, W } = costsOf(request);
  if (F !== B || B !== W) return undefined;
  const pair = F + B + W;
  return (factor * (pair + (B + W) - 3 * W)) / (request.numMicroBatches * chunksPerMicroBatch * (F + B + W));
}

function tooFew(numMicroBatches: number, numRanks: number): string {
  return `it needs at least ${2 * numRanks} micro-batches for ${numRanks} pipeline ranks, not ${numMicroBatches}`;
}

function buildDualPipe({ numRanks, numMicroBatches }: ScheduleRequest): Schedule {
  const half = numMicroBatches / 2;
  const microBatchesOf = shareTwoWays(numMicroBatches, numMicroBatches);
  const writers = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const isFirstHalf = rank < numRanks / 2;
    const writer = pairWriter(isFirstHalf ? [0, 1] : [1, 0], microBatchesOf, 3 * numMicroBatches);
    const depth = isFirstHalf ? rank : numRanks - 1 - rank;
    writeSteps(writer, { depth, halfRanks: numRanks / 2, perDirection: half });
    writers.push(writer);
  }
  return finish("dualpipe", twoWayPlacement(numRanks), numMicroBatches, microBatchesOf, writers, numRanks + 1);
}

function buildDualPipeV({ numRanks, numMicroBatches }: ScheduleRequest): Schedule {
  const all = Array.from({ length: numMicroBatches }, (_, i) => i);
  const writers = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const writer = pairWriter([0, 1], [all, all], 6 * numMicroBatches);
    writeSteps(writer, { depth: rank, halfRanks: numRanks, perDirection: numMicroBatches });
    writers.push(writer);
  }
  return finish("dualpipe-v", wavePlacement(numRanks, 2), numMicroBatches, [all], writers, 2 * numRanks + 1);
}

interface Steps {
  /** Ranks between this one and the nearer end where a direction enters. */
  readonly depth: number;
  /** Ranks from an end to the middle (DualPipe), or all ranks (DualPipe-V). */
  readonly halfRanks: number;
  /** Micro-batches each chunk processes. */
  readonly perDirection: number;
}

/** Phase 0 is the direction that enters at the near end, phase 1 the other. */
function writeSteps(writer: PairWriter, { depth, halfRanks, perDirection }: Steps): void {
  const { forward, backward, splitBackward, weight, pair } = writer;
  const below = halfRanks - 1 - depth;
  for (let i = 0; i < 2 * below; i++) forward(0);
  for (let i = 0; i <= depth; i++) {
    forward(0);
    forward(1);
  }
  for (let i = 0; i < below; i++) {
    splitBackward(1);
    weight();
    forward(1);
  }
  const numMain = perDirection - 2 * halfRanks + depth + 1;
  for (let i = 0; i < numMain; i++) {
    if (i === 0 && below === 0) {
      // The middle rank: the backward needs the forward just sent round, overlapping them would only add idle time.
      forward(0);
      backward(1);
    } else pair(0, 1);
    pair(1, 0);
  }
  for (let i = 0; i < below; i++) {
    backward(1);
    pair(1, 0);
  }
  let isSplit = false;
  for (let i = 0; i <= depth; i++) {
    if (i === (depth + 1) >> 1 && depth % 2 === 1) isSplit = true;
    (isSplit ? splitBackward : backward)(1);
    if (i === (depth + 1) >> 1 && depth % 2 === 0) isSplit = true;
    (isSplit ? splitBackward : backward)(0);
  }
  for (let i = 0; i < below; i++) {
    weight();
    splitBackward(0);
  }
  for (let i = 0; i <= depth; i++) weight();
}

interface PairWriter {
  readonly list: RankActions;
  readonly overlapped: Uint8Array;
  readonly forward: (phase: 0 | 1) => void;
  readonly backward: (phase: 0 | 1) => void;
  readonly splitBackward: (phase: 0 | 1) => void;
  /** The oldest weight gradient that waits. */
  readonly weight: () => void;
  readonly pair: (forwardPhase: 0 | 1, backwardPhase: 0 | 1) => void;
}

function pairWriter(
  chunkOf: readonly [number, number],
  microBatchesOf: readonly (readonly number[])[],
  capacity: number,
): PairWriter {
  const list = rankActions(capacity);
  const overlapped = new Uint8Array(capacity);
  const nextForward: [number, number] = [0, 0];
  const nextBackward: [number, number] = [0, 0];
  const waiting: { chunk: number; microBatch: number }[] = [];
  let oldest = 0;
  const microBatchAt = (phase: 0 | 1, index: number) => microBatchesOf[chunkOf[phase]]![index]!;
  const forward = (phase: 0 | 1) => push(list, "F", chunkOf[phase], microBatchAt(phase, nextForward[phase]++));
  const backward = (phase: 0 | 1) => push(list, "BW", chunkOf[phase], microBatchAt(phase, nextBackward[phase]++));
  return {
    list,
    overlapped,
    forward,
    backward,
    splitBackward: (phase) => {
      const microBatch = microBatchAt(phase, nextBackward[phase]++);
      push(list, "B", chunkOf[phase], microBatch);
      waiting.push({ chunk: chunkOf[phase], microBatch });
    },
    weight: () => {
      const { chunk, microBatch } = waiting[oldest++]!; // the steps queue exactly as many as they run
      push(list, "W", chunk, microBatch);
    },
    pair: (forwardPhase, backwardPhase) => {
      overlapped[list.length] = 1;
      forward(forwardPhase);
      backward(backwardPhase);
    },
  };
}

function finish(
  name: string,
  placement: Placement,
  numMicroBatches: number,
  microBatchesOf: readonly (readonly number[])[],
  writers: readonly PairWriter[],
  stashBound: number,
): Schedule {
  return assembleSchedule({
    name,
    placement,
    numMicroBatches,
    microBatchesOf,
    splitBackward: true,
    // How many backwards are split depends on the rank, so the lists were allocated for the most.
    lists: writers.map(({ list }) => ({ codes: list.codes.slice(0, list.length), length: list.length })),
    overlapped: writers.map(({ list, overlapped }) => overlapped.slice(0, list.length)),
    stashBoundChunks: () => stashBound,
  });
}
