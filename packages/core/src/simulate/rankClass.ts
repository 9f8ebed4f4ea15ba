// The seconds of one pipeline rank as a waterfall: every part charged once, the bubble is what is left of the step.

import { assert } from "../units/errors.ts";
import type { PipelineTimeline } from "./pipeline/index.ts";
import type { RankTotals } from "./rankTotals.ts";
import type { RankTail } from "./stepTail.ts";
import { HOST_SHARE, SHARES } from "./streams/streamOps.ts";
import type { RankClass, TimeKind } from "./types.ts";

export function rankClass(at: {
  readonly rank: number;
  readonly numRanks: number;
  readonly total: RankTotals;
  readonly tail: RankTail;
  readonly timeline: PipelineTimeline;
  readonly spillSec: number;
  readonly heldSec: number;
  readonly gatherSec: number;
  readonly replicaSec: number;
  readonly stepSec: number;
  readonly stragglerSec: number;
  readonly messageSec: number;
  readonly memory: RankClass["memory"];
}): RankClass {
  const { total, tail, timeline, rank } = at;
  // Overlapped pairs end sooner than their two actions in a row: what is left is shared out alike.
  const scale = total.actionSec > 0 ? timeline.busySec[rank]! / total.actionSec : 1;
  const seconds = (share: string) => total.shares[SHARES.indexOf(share as (typeof SHARES)[number])]! * scale;
  const kinds: readonly Exclude<TimeKind, "compute">[] = ["tp", "cp", "ep", "dp", "pp", "copy"];
  const exposed: Record<string, number> = {};
  const busy: Record<string, number> = {};
  for (const kind of kinds) {
    const k = SHARES.indexOf(kind);
    exposed[kind] = seconds(kind) + tail.reduce.shares[k]! + tail.gather.shares[k]!;
    busy[kind] = total.busy[k]! + tail.reduce.busy[k]! + tail.gather.busy[k]!;
  }
  exposed.pp! += timeline.transferWaitSec[rank]!;
  exposed.dp! += at.spillSec + at.heldSec + at.replicaSec;
  busy.pp! += at.messageSec;
  busy.dp! += at.gatherSec + at.replicaSec;
  const computeSec = seconds("compute") + tail.reduce.shares[0]! + tail.gather.shares[0]!;
  const hostSec = seconds("host") + tail.reduce.shares[HOST_SHARE]! + tail.gather.shares[HOST_SHARE]!;
  const optimizerSec = tail.update.durationSec;
  const known =
    computeSec + hostSec + optimizerSec + at.stragglerSec + kinds.reduce((sum, kind) => sum + exposed[kind]!, 0);
  const bubbleSec = at.stepSec - known;
  assert(bubbleSec >= -1e-6 * at.stepSec, `rank ${rank} works at most the step: ${known} of ${at.stepSec}`);
  return {
    pipelineRank: rank,
    numRanks: at.numRanks,
    computeSec,
    exposedSec: exposed as RankClass["exposedSec"],
    totalCommSec: busy as RankClass["totalCommSec"],
    hostSec,
    bubbleSec: Math.max(0, bubbleSec),
    optimizerSec,
    stragglerSec: at.stragglerSec,
    memory: at.memory,
  };
}
