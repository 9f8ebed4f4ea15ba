// Expert exchange of one micro-batch beside compute of another (DeepSeek's overlapped forward and backward; Megatron-Core's
// --overlap-moe-expert-parallel-comm): the exchange leaves an action's critical path as far as there is compute of the other micro-batch to hide it.
//
// Only a forward that runs beside a backward hides: of a rank's micro-batches the `pp` of warm-up and cool-down (one without a pipeline) have no partner.
// What is hidden runs at a collective's rate beside compute and takes its compute units from it (contention.ts); what does not fit stays exposed.
// Every action is given the average of its kind.

import type { Program } from "../parallel/program.ts";
import type { Software } from "../parallel/strategy.ts";
import type { ContentionParameters } from "./contention.ts";
import type { StageActions } from "./stageActions.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { SHARES } from "./streams/streamOps.ts";

const EP = SHARES.indexOf("ep");
const COMPUTE = SHARES.indexOf("compute");

/** @param numUnits compute units of the device. */
export function hiddenExchange(
  actions: StageActions,
  program: Program,
  software: Software,
  contention: ContentionParameters,
  numUnits: number,
): StageActions {
  if (!software.overlapMoeExchange || program.mesh.ep === 1 || program.microBatchesPerStep < 2) return actions;
  // Overlapped pairs (DualPipe) hide it themselves.
  if (program.schedule.overlapped !== undefined) return actions;
  const pairedFrac = Math.max(0, 1 - program.mesh.pp / program.microBatchesPerStep);
  const how = { pairedFrac, rate: contention.collectiveRate, unitFrac: contention.unitsInside / numUnits };
  const known = new Map<ActionCost, ActionCost>();
  return {
    ...actions,
    cost: (stage, kind, variant) => {
      const plain = actions.cost(stage, kind, variant);
      let hidden = known.get(plain);
      if (hidden === undefined) {
        hidden = hide(plain, how);
        known.set(plain, hidden);
      }
      return hidden;
    },
  };
}

/**
 * Exchange hidden for h seconds (of its own undisturbed time) lasts h / rate beside compute, and compute loses the share `unitFrac` of that time; it fits
 * while h / rate is no longer than the compute so stretched.
 */
export function hide(
  cost: ActionCost,
  how: { readonly pairedFrac: number; readonly rate: number; readonly unitFrac: number },
): ActionCost {
  const { pairedFrac, rate, unitFrac } = how;
  const most = (cost.shares[COMPUTE]! * rate) / (1 - unitFrac);
  const hiddenSec = pairedFrac * Math.min(cost.shares[EP]!, most);
  if (hiddenSec <= 0) return cost;
  const slowedSec = (hiddenSec / rate) * unitFrac;
  const shares = cost.shares.slice();
  shares[EP]! -= hiddenSec;
  shares[COMPUTE]! += slowedSec;
  return { ...cost, durationSec: cost.durationSec - hiddenSec + slowedSec, shares };
}
