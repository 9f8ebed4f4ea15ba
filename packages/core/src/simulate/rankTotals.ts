// Seconds of one pipeline rank over the step: its actions times how often they run, by share, and the totals of its ops.

import type { Schedule } from "../parallel/schedules/index.ts";
import { assert } from "../units/errors.ts";
import { type ActionVariants, KIND_NAMES } from "./actionDurations.ts";
import type { StageActions, Variant } from "./stageActions.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { NUM_SHARES } from "./streams/streamOps.ts";

export interface RankTotals {
  /** Sum of its actions' durations. */
  readonly actionSec: number;
  readonly shares: Float64Array;
  readonly busy: Float64Array;
  readonly workFlops: number;
  /** Matrix work on the compute stream, for power. */
  readonly matrixSec: number;
  /** Dynamic energy at boost clock. */
  readonly joules: number;
}

/** Calls `visit` for every distinct action of a rank with the number of its runs. */
export function forEachAction(
  at: {
    readonly schedule: Schedule;
    readonly variants: ActionVariants;
    readonly actions: StageActions;
    readonly rank: number;
  },
  visit: (cost: ActionCost, times: number) => void,
): void {
  const { schedule, variants, actions, rank } = at;
  for (let chunk = 0; chunk < schedule.numChunks; chunk++) {
    const stage = schedule.stageOf[rank]![chunk]!;
    for (let kind = 0; kind < 4; kind++) {
      const slot = (rank * schedule.numChunks + chunk) * 4 + kind;
      const run = (times: number, variant: Variant) => {
        if (times > 0) visit(actions.cost(stage, KIND_NAMES[kind]!, variant), times);
      };
      run(variants.numPlain[slot]!, "plain");
      run(variants.numOnce[slot]!, "once");
    }
  }
}

export function rankTotals(at: Parameters<typeof forEachAction>[0]): RankTotals {
  const shares = new Float64Array(NUM_SHARES);
  const busy = new Float64Array(NUM_SHARES);
  let actionSec = 0;
  let workFlops = 0;
  let matrixSec = 0;
  let joules = 0;
  forEachAction(at, (cost, times) => {
    actionSec += cost.durationSec * times;
    workFlops += cost.workFlops * times;
    matrixSec += cost.matrixSec * times;
    joules += cost.joules * times;
    for (let k = 0; k < NUM_SHARES; k++) {
      shares[k]! += cost.shares[k]! * times;
      busy[k]! += cost.busy[k]! * times;
    }
  });
  assert(actionSec < Number.POSITIVE_INFINITY, `rank ${at.rank} works a finite time`);
  return { actionSec, shares, busy, workFlops, matrixSec, joules };
}
