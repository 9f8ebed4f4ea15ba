// Expert exchange of one micro-batch beside compute of another (DeepSeek's overlapped forward and backward; Megatron-Core's
// --overlap-moe-expert-parallel-comm): the exchange leaves an action's critical path as far as there is compute of the other micro-batch to hide it.
//
// Each action then lasts its compute plus what of the exchange exceeds it. Contention (contention.ts) slows the compute while exchanges run beside it.
// Holds in the steady state of a pipeline; warm-up and cool-down have no partner, so with one micro-batch nothing is hidden.

import type { Program } from "../parallel/program.ts";
import type { Software } from "../parallel/strategy.ts";
import type { ContentionParameters } from "./contention.ts";
import type { StageActions } from "./stageActions.ts";
import type { ActionCost } from "./streams/simulateAction.ts";
import { SHARES } from "./streams/streamOps.ts";

const EP = SHARES.indexOf("ep");

export function hiddenExchange(
  actions: StageActions,
  program: Program,
  software: Software,
  contention: ContentionParameters,
): StageActions {
  if (!software.overlapMoeExchange || program.mesh.ep === 1 || program.microBatchesPerStep < 2) return actions;
  // Overlapped pairs (DualPipe) hide it themselves.
  if (program.schedule.overlapped !== undefined) return actions;
  const known = new Map<ActionCost, ActionCost>();
  return {
    ...actions,
    cost: (stage, kind, variant) => {
      const plain = actions.cost(stage, kind, variant);
      let hidden = known.get(plain);
      if (hidden === undefined) {
        hidden = hide(plain, contention);
        known.set(plain, hidden);
      }
      return hidden;
    },
  };
}

function hide(cost: ActionCost, contention: ContentionParameters): ActionCost {
  const exposedSec = cost.shares[EP]!;
  const hiddenSec = Math.min(exposedSec, cost.shares[0]!);
  if (hiddenSec <= 0) return cost;
  // While hidden, the exchange runs at its own reduced rate, and takes units from the compute it hides behind.
  const slowedSec = hiddenSec * (1 - contention.collectiveRate);
  const shares = cost.shares.slice();
  shares[EP]! -= hiddenSec;
  shares[0]! += slowedSec;
  return { ...cost, durationSec: cost.durationSec - hiddenSec + slowedSec, shares };
}
