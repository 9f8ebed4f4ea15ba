// Chimera and BitPipe: two replicas of the model in opposite directions, so that the ranks where one pipeline idles at its start
// and end are those where the other works. Half of the micro-batches go each way; BitPipe bends both into a V, with chunks of
// half a rank's layers, and so halves the bubble again. Both replicas all-reduce their weight gradients at the end of the step.
//
// The order is `pacedWave` with p/2 micro-batches per direction: exactly the papers' figures for m = p; more micro-batches follow
// as further units ("direct concatenation", arXiv 2107.06925 section 3.5). Forward doubling and backward halving are not offered.

import { costsOf, requireCounts } from "./admissible.ts";
import { pacedWave } from "./pacedWave.ts";
import { type Placement, shareTwoWays, twoWayPlacement, twoWayWavePlacement } from "./placement.ts";
import { assembleSchedule } from "./rankActions.ts";
import type { Schedule, ScheduleFamily, ScheduleRequest } from "./types.ts";

/**
 * Stash p/2 + 1 (end ranks) to p (middle) of a whole rank's layers; parameters twice.
 * Bubble: (p - 2) / (2m) for F = BW, and for m = p, BW = 2F: (p - 2) / (3m/2) (section 3.1, table 2, idle over busy time).
 */
export const chimera: ScheduleFamily = {
  name: "chimera",
  title: "Chimera",
  source: "arXiv 2107.06925, sections 3.1 and 3.5",
  chunks: { fixed: 2 },
  splitBackward: false,
  check,
  build: (request) => build("chimera", request, twoWayPlacement(request.numRanks)),
  bubbleFrac: (request) => bubbleFrac(request, 1),
};

/** Stash up to 2p half-size chunks; parameters twice. Bubble (p - 2) / (4m) for F = BW; for m = p, BW = 2F: (p - 2) / (3m) (table 2). */
export const bitPipe: ScheduleFamily = {
  name: "bitpipe",
  title: "BitPipe",
  source: "arXiv 2410.19367, section 3",
  chunks: { fixed: 4 },
  splitBackward: false,
  check,
  build: (request) => build("bitpipe", request, twoWayWavePlacement(request.numRanks)),
  bubbleFrac: (request) => bubbleFrac(request, 2),
};

function check(request: ScheduleRequest): readonly string[] {
  const { numRanks, numMicroBatches } = request;
  const findings = [...requireCounts(request)];
  if (numRanks % 2 !== 0) findings.push(`it needs an even number of pipeline ranks, not ${numRanks}`);
  if (numMicroBatches % 2 !== 0) findings.push(`it needs an even number of micro-batches, not ${numMicroBatches}`);
  return findings;
}

/** Idle (p - 2) BW chunk durations over m stages-per-direction (F + BW): one form for both papers' cases. */
function bubbleFrac(request: ScheduleRequest, chunksPerReplica: number): number | undefined {
  const { F, B, W } = costsOf(request);
  const { numRanks, numMicroBatches } = request;
  if (numMicroBatches % numRanks !== 0 || F > B + W || (numMicroBatches > numRanks && F !== B + W)) return undefined;
  return ((numRanks - 2) * (B + W)) / (numMicroBatches * chunksPerReplica * (F + B + W));
}

function build(name: string, { numRanks, numMicroBatches }: ScheduleRequest, placement: Placement): Schedule {
  const perReplica = Math.min(numRanks, numMicroBatches) / 2;
  const microBatchesOf = shareTwoWays(numMicroBatches, numRanks);
  return assembleSchedule({
    name,
    placement,
    numMicroBatches,
    microBatchesOf,
    splitBackward: false,
    lists: pacedWave(placement, microBatchesOf, numRanks / 2),
    stashBoundChunks: () => placement.numChunks * perReplica,
  });
}
