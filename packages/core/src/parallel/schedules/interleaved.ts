// Interleaved 1F1B: each rank holds v chunks, so the pipeline fills in chunk-sized steps and the bubble shrinks v times.
//
// Order of Megatron-LM's `forward_backward_pipelining_with_interleaving`: micro-batches are cut into groups of g (p unless given);
// a group runs chunk 0, then chunk 1, and so on; backward visits the chunks in reverse. Rank r runs
// 2 (p - r - 1) + (v - 1) g virtual micro-batches ahead. A last, smaller group is allowed when it is no smaller than p.

import { requireCounts } from "./admissible.ts";
import { loopPlacement } from "./placement.ts";
import { assembleSchedule, push, rankActions } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Stash min(m v, 2 (p - r - 1) + (v - 1) g + 1) chunks.
 * Bubble (p - 1) / (v m) (arXiv 2104.04473 section 2.2.2), exact when m is a multiple of p and g = p.
 */
export const interleaved: ScheduleFamily = {
  name: "interleaved",
  title: "Interleaved 1F1B",
  source: "arXiv 2104.04473, section 2.2.2; Megatron-LM core get_schedule_table",
  chunks: { min: 2 },
  splitBackward: false,
  check,
  build,
  bubbleFrac: (request) =>
    request.numMicroBatches % request.numRanks === 0 && groupSizeOf(request) === request.numRanks
      ? (request.numRanks - 1) / (request.numChunks * request.numMicroBatches)
      : undefined,
};

function groupSizeOf(request: ScheduleRequest): number {
  return request.groupSize ?? request.numRanks;
}

function check(request: ScheduleRequest): readonly string[] {
  const findings = [...requireCounts(request)];
  const { numRanks, numMicroBatches, numChunks } = request;
  const groupSize = groupSizeOf(request);
  if (numChunks < 2) findings.push(`interleaved 1F1B needs at least 2 chunks per rank, not ${numChunks}: use 1f1b`);
  if (!Number.isInteger(groupSize) || groupSize < numRanks) {
    findings.push(
      `micro-batch group size ${groupSize} must be a whole number of at least ${numRanks}, the pipeline ranks`,
    );
  } else if (numMicroBatches % groupSize !== 0 && numMicroBatches % groupSize < numRanks) {
    findings.push(
      `${numMicroBatches} micro-batches leave a last group of ${numMicroBatches % groupSize}, fewer than the ${numRanks} pipeline ranks: ` +
        `use a multiple of ${groupSize}, or another group size`,
    );
  }
  return findings;
}

function build(request: ScheduleRequest): Schedule {
  const { numRanks, numMicroBatches, numChunks } = request;
  const groupSize = groupSizeOf(request);
  const total = numMicroBatches * numChunks;
  const chunkAt = new Int32Array(total);
  const microBatchAt = new Int32Array(total);
  let next = 0;
  for (let first = 0; first < numMicroBatches; first += groupSize) {
    const end = Math.min(first + groupSize, numMicroBatches);
    for (let chunk = 0; chunk < numChunks; chunk++) {
      for (let i = first; i < end; i++) {
        chunkAt[next] = chunk;
        microBatchAt[next++] = i;
      }
    }
  }
  const aheadOf = (rank: number) => Math.min(total, 2 * (numRanks - rank - 1) + (numChunks - 1) * groupSize);
  const lists = [];
  for (let rank = 0; rank < numRanks; rank++) {
    const list = rankActions(2 * total);
    const ahead = aheadOf(rank);
    for (let k = 0; k < total + ahead; k++) {
      if (k < total) push(list, "F", chunkAt[k]!, microBatchAt[k]!);
      if (k >= ahead) push(list, "BW", numChunks - 1 - chunkAt[k - ahead]!, microBatchAt[k - ahead]!);
    }
    lists.push(list);
  }
  return assembleSchedule({
    name: interleaved.name,
    placement: loopPlacement(numRanks, numChunks),
    numMicroBatches,
    splitBackward: false,
    lists,
    stashBoundChunks: (rank) => Math.min(total, aheadOf(rank) + 1),
  });
}
