// Seconds of every action of the schedule, and how often each (rank, chunk, kind, variant) runs. One pass over the packed actions: a 1T
// model's step has 10^5.

import { gradientRuns } from "../parallel/gradientRuns.ts";
import type { ReducePolicy } from "../parallel/program.ts";
import type { Schedule } from "../parallel/schedules/index.ts";
import type { Variant } from "./stageActions.ts";
import type { ActionOps } from "./streams/buildAction.ts";

export const KIND_NAMES: readonly ActionOps[] = ["F", "B", "W", "BW"];

export interface ActionVariants {
  /** Per action, rank after rank. */
  readonly perActionSec: Float64Array;
  /** Index of each chunk's first forward action per rank ([rank * numChunks + chunk]), -1 for none. */
  readonly firstForward: Int32Array;
  /** 1 for each action of variant `once`, rank after rank. */
  readonly once: Uint8Array;
  /** Runs of each (rank, chunk, kind): [(rank * numChunks + chunk) * 4 + kind] plain, and of the `once` variants. */
  readonly numPlain: Int32Array;
  readonly numOnce: Int32Array;
}

export function actionVariants(
  schedule: Schedule,
  at: {
    readonly onceDiffers: boolean;
    readonly reducePolicy: ReducePolicy;
    /** Of a stage on one of its pipeline ranks. */
    readonly secondsOf: (rank: number, stage: number, kind: ActionOps, variant: Variant) => number;
  },
): ActionVariants {
  const { numRanks, numChunks, actions, stageOf } = schedule;
  let total = 0;
  for (const list of actions) total += list.length;
  const perActionSec = new Float64Array(total);
  const firstForward = new Int32Array(numRanks * numChunks).fill(-1);
  const once = new Uint8Array(total);
  const numPlain = new Int32Array(numRanks * numChunks * 4);
  const numOnce = new Int32Array(numRanks * numChunks * 4);
  const gradientKind = schedule.splitBackward ? 2 : 3;
  const plainSec = new Float64Array(numChunks * 4);
  let base = 0;
  for (let rank = 0; rank < numRanks; rank++) {
    const list = actions[rank]!;
    const first = firstForward.subarray(rank * numChunks, (rank + 1) * numChunks);
    const last = new Int32Array(numChunks).fill(-1);
    const counts = numPlain.subarray(rank * numChunks * 4, (rank + 1) * numChunks * 4);
    for (let i = 0; i < list.length; i++) {
      const slot = list[i]! & 1023;
      counts[slot]!++;
      const kind = slot & 3;
      const chunk = slot >> 2;
      if (kind === 0 && first[chunk] === -1) first[chunk] = base + i;
      else if (kind === gradientKind) last[chunk] = base + i;
    }
    for (let slot = 0; slot < numChunks * 4; slot++) {
      plainSec[slot] =
        counts[slot] === 0 ? 0 : at.secondsOf(rank, stageOf[rank]![slot >> 2]!, KIND_NAMES[slot & 3]!, "plain");
    }
    for (let i = 0; i < list.length; i++) perActionSec[base + i] = plainSec[list[i]! & 1023]!;
    const mark = (action: number, chunk: number) => {
      once[action] = 1;
      perActionSec[action] = at.secondsOf(rank, stageOf[rank]![chunk]!, KIND_NAMES[gradientKind]!, "once");
      const slot = (rank * numChunks + chunk) * 4 + gradientKind;
      numPlain[slot]!--;
      numOnce[slot]!++;
    };
    if (at.onceDiffers && at.reducePolicy === "everyRun") {
      const { ends } = gradientRuns(schedule, rank);
      for (let i = 0; i < list.length; i++) if (ends.has(list[i]!)) mark(base + i, (list[i]! >> 2) & 255);
    } else if (at.onceDiffers) {
      for (let chunk = 0; chunk < numChunks; chunk++) if (last[chunk]! >= 0) mark(last[chunk]!, chunk);
    }
    base += list.length;
  }
  return { perActionSec, firstForward, once, numPlain, numOnce };
}
