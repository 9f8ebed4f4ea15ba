// The pipeline of a body, simulated with floors of its actions: a longest path, so shorter actions and messages never end later (pipeline/simulatePipeline.ts
// adds and takes maxima only). What an ending adds (parameters that arrive late, a last backward slowed by reductions) only lengthens actions.

import { actionGraph, type Schedule } from "../../parallel/schedules/index.ts";
import { simulatePipeline } from "../../simulate/pipeline/index.ts";
import type { Body, Placement } from "../space/types.ts";
import type { StageCut, StageTimes } from "./pipelineBound.ts";

/** The order of actions of a body. */
export type ScheduleOf = (placement: Placement, body: Body) => Schedule;

export interface TimedPipeline {
  /** Per rank, end of its last action. */
  readonly endSec: Float64Array;
  /** Start of the last gradient action of each chunk: [rank * numChunks + chunk]. */
  readonly lastStartSec: Float64Array;
  readonly numChunks: number;
  /** Per rank, end of the reductions of every micro-batch; null where there are none or they are not asked for. */
  readonly reducedSec: Float64Array | null;
}

/** What an ending adds to a pipeline whose stages go round the ranks in order. */
export interface EndingStreams {
  readonly cut: StageCut;
  /** Seconds to gather the blocks before each position, where parameters are on their way when a step begins (simulate/gatherStream.ts). */
  readonly arrivingSec: Float64Array | null;
  /** Seconds to reduce the gradients of the blocks before each position, where that is done beside every micro-batch. */
  readonly reducingSec: Float64Array | null;
}

/** @param hopSec messages from rank r to the next one; where stages do not go round the ranks in order, the quickest of them stands for all. */
export function timedPipeline(
  schedule: Schedule,
  times: StageTimes,
  at: {
    readonly hopSec: Float64Array;
    readonly overlapP2p: boolean;
    readonly loops: boolean;
    readonly streams?: EndingStreams | undefined;
  },
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
  const { streams } = at;
  const arriving = sumsOf(streams?.cut, streams?.arrivingSec);
  const reducing = sumsOf(streams?.cut, streams?.reducingSec);
  const quickest = at.hopSec.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const timeline = simulatePipeline({
    schedule,
    durations: { tableSec },
    overlapP2p: at.overlapP2p,
    ...(arriving === null ? {} : { earliestEndSec: arrivalSec(schedule, times.forwardSec, arriving) }),
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
  const reducedSec = reducing === null ? null : new Float64Array(numRanks);
  for (let rank = 0; rank < numRanks; rank++) {
    const to = graph.offsets[rank + 1]!;
    ends[rank] = endSec[to - 1]!;
    let free = 0;
    for (let a = graph.offsets[rank]!; a < to; a++) {
      const code = graph.codes[a]!;
      if ((code & 3) !== gradientKind) continue;
      const chunk = (code >> 2) & 255;
      lastStartSec[rank * numChunks + chunk] = startSec[a]!;
      // One stream: each action's begin when it has begun and those before are done.
      if (reducing !== null) free = Math.max(free, startSec[a]!) + stageSum(reducing, stageOf[rank]![chunk]!);
    }
    if (reducedSec !== null) reducedSec[rank] = free;
  }
  return { endSec: ends, lastStartSec, numChunks, reducedSec };
}

interface Sums {
  readonly starts: Int32Array;
  readonly sec: Float64Array;
}

function sumsOf(cut: StageCut | undefined, sec: Float64Array | null | undefined): Sums | null {
  return cut === undefined || sec === undefined || sec === null ? null : { starts: cut.starts, sec };
}

function stageSum({ starts, sec }: Sums, stage: number): number {
  return sec[starts[stage + 1]!]! - sec[starts[stage]!]!;
}

/** Per action, when the last parameters of a first forward come and what of it is left then. */
function arrivalSec(schedule: Schedule, forwardSec: Float64Array, { starts, sec }: Sums): Float64Array {
  const { codes, offsets } = actionGraph(schedule);
  const { numRanks, numChunks, stageOf } = schedule;
  const earliest = new Float64Array(codes.length);
  for (let rank = 0; rank < numRanks; rank++) {
    let arrived = 0;
    let met = 0;
    // The order of first forwards is the order in which chunks are gathered.
    for (let a = offsets[rank]!, seen = 0; a < offsets[rank + 1]! && met < numChunks; a++) {
      const chunk = (codes[a]! >> 2) & 255;
      if ((codes[a]! & 3) !== 0 || ((seen >> chunk) & 1) === 1) continue;
      seen |= 1 << chunk;
      met++;
      const stage = stageOf[rank]![chunk]!;
      const [from, to] = [starts[stage]!, starts[stage + 1]!];
      for (let i = from; i < to; i++) {
        arrived += sec[i + 1]! - sec[i]!;
        const rest = (forwardSec[stage]! * (to - i)) / (to - from);
        if (arrived + rest > earliest[a]!) earliest[a] = arrived + rest;
      }
    }
  }
  return earliest;
}
