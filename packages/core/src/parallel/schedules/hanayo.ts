// Hanayo: one replica whose stages run down and up the ranks in w waves, as if Chimera's second direction were the same model's later
// layers. Chunks are 1/(2w) of a rank's layers, so the pipeline fills in smaller steps.
//
// Micro-batches enter in groups of p at every second slot and never wait (`pacedWave`, the picture of figure 5 of the paper for
// m = p). Groups follow each other as soon as the ranks are free.

import { costsOf, requireCounts } from "./admissible.ts";
import { pacedWave } from "./pacedWave.ts";
import { wavePlacement } from "./placement.ts";
import { assembleSchedule } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Stash at most p v chunks, v = 2w: the memory of 1F1B's first rank on the last rank, p v - p + r + 1 on rank r.
 * Bubble, m = p: (p - 1) BW / (p w (F + BW)), so 2 (p - 1) / (3 p w) for BW = 2F: it falls with the number of waves (section 3.3).
 * With F = BW any multiple of p keeps the idle time of one group; with BW longer each further group adds (2p - 2)(BW - F).
 */
export const hanayo: ScheduleFamily = {
  name: "hanayo",
  title: "Hanayo",
  source: "arXiv 2308.15762, section 3",
  chunks: { min: 2 },
  splitBackward: false,
  check: (request) => {
    const findings = [...requireCounts(request)];
    if (request.numChunks % 2 !== 0)
      findings.push(`a wave goes down and up: chunks per rank must be even, not ${request.numChunks}`);
    return findings;
  },
  build,
  bubbleFrac: (request) => {
    const { F, B, W } = costsOf(request);
    const { numRanks, numMicroBatches, numChunks } = request;
    if (numMicroBatches % numRanks !== 0 || F > B + W || (numMicroBatches > numRanks && F !== B + W)) return undefined;
    return ((2 * numRanks - 2) * (B + W)) / (numMicroBatches * numChunks * (F + B + W));
  },
};

function build({ numRanks, numMicroBatches, numChunks }: ScheduleRequest): Schedule {
  const placement = wavePlacement(numRanks, numChunks);
  const microBatchesOf = [Array.from({ length: numMicroBatches }, (_, i) => i)];
  return assembleSchedule({
    name: hanayo.name,
    placement,
    numMicroBatches,
    microBatchesOf,
    splitBackward: false,
    lists: pacedWave(placement, microBatchesOf, numRanks),
    stashBoundChunks: (rank) => numRanks * numChunks - numRanks + rank + 1,
  });
}
