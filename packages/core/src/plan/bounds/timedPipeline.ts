// The pipeline of a body, simulated with floors of its actions: a longest path, so shorter actions and messages never end later (pipeline/simulatePipeline.ts
// adds and takes maxima only). What an ending adds (parameters that arrive late, a last backward slowed by reductions) only lengthens actions.

import type { Schedule } from "../../parallel/schedules/index.ts";
import { simulatePipeline } from "../../simulate/pipeline/index.ts";
import type { Body, Placement } from "../space/types.ts";
import type { StageTimes } from "./pipelineBound.ts";

/** The order of actions of a body. */
export type ScheduleOf = (placement: Placement, body: Body) => Schedule;

export interface TimedPipeline {
  /** Per rank, end of its last action. */
  readonly endSec: Float64Array;
  /** Start of the last gradient action of each chunk: [rank * numChunks + chunk]. */
  readonly lastStartSec: Float64Array;
  readonly numChunks: number;
}

/** @param hopSec messages from rank r to the next one; null: those of the quickest pair between any two ranks. */
export function timedPipeline(
  schedule: Schedule,
  times: StageTimes,
  at: { readonly hopSec: Float64Array; readonly overlapP2p: boolean; readonly loops: boolean },
): TimedPipeline {
  const { numRanks, numChunks, stageOf } = schedule;
  const tableSec = new Float64Array(numRanks * numChunks * 4);
  for (let rank = 0; rank < numRanks; rank++) {
    for (let chunk = 0; chunk < numChunks; chunk++) {
      const stage = stageOf[rank]![chunk]!;
      const base = (rank * numChunks + chunk) * 4;
      tableSec[base] = times.forwardSec[stage]!;
      tableSec[base + 1] = times.backwardSec[stage]! - times.weightSec[stage]!;
      tableSec[base + 2] = times.weightSec[stage]!;
      tableSec[base + 3] = times.backwardSec[stage]!;
    }
  }
  const quickest = at.hopSec.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const timeline = simulatePipeline({
    schedule,
    durations: { tableSec },
    overlapP2p: at.overlapP2p,
    ...(numRanks === 1
      ? {}
      : {
          transferSec: ({ fromRank, direction }) =>
            at.loops ? at.hopSec[direction === "forward" ? fromRank : (fromRank + numRanks - 1) % numRanks]! : quickest,
        }),
  });
  const { graph, startSec, endSec } = timeline;
  const gradientKind = schedule.splitBackward ? 2 : 3;
  const ends = new Float64Array(numRanks);
  const lastStartSec = new Float64Array(numRanks * numChunks);
  for (let rank = 0; rank < numRanks; rank++) {
    const to = graph.offsets[rank + 1]!;
    ends[rank] = endSec[to - 1]!;
    for (let a = graph.offsets[rank]!; a < to; a++) {
      const code = graph.codes[a]!;
      if ((code & 3) === gradientKind) lastStartSec[rank * numChunks + ((code >> 2) & 255)] = startSec[a]!;
    }
  }
  return { endSec: ends, lastStartSec, numChunks };
}
