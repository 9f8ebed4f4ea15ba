// Parameters gathered once a step, after the update, beside the next step's first forward (ZeRO-1, Megatron's distributed optimizer).
//
// Every rank starts when the step starts, whether or not it has input yet, and gathers its blocks in the order it will first use them, one after another on
// the gather stream. A chunk's first forward may run up to a block whose parameters are still on their way and waits there; pipeline ranks that wait
// for their input anyway lose nothing. Left out: the slow-down of compute beside these gathers (one action of a step).

import type { Program } from "../parallel/program.ts";
import type { Schedule } from "../parallel/schedules/index.ts";
import type { ActionVariants } from "./actionDurations.ts";
import type { BlockPrices } from "./streams/blockPrices.ts";
import { buildPhase, type PhasePart } from "./streams/buildAction.ts";
import { type ActionCost, simulateBuilt } from "./streams/simulateAction.ts";

export interface GatherStream {
  /** Per action, for PipelineInput.earliestEndSec: a first forward ends no sooner than its last blocks after their parameters came. */
  readonly earliestEndSec: Float64Array;
  /** Per rank, seconds the gather stream is busy. */
  readonly busySec: Float64Array;
}

/** null when nothing is gathered this way. */
export function gatherStream(
  program: Program,
  pricesOf: (rank: number) => BlockPrices,
  variants: ActionVariants,
): GatherStream | null {
  const { schedule } = program;
  if (program.gatherPolicy !== "afterUpdate" || !program.overlapGather) return null;
  const earliestEndSec = new Float64Array(variants.perActionSec.length);
  const busySec = new Float64Array(schedule.numRanks);
  for (let rank = 0; rank < schedule.numRanks; rank++) {
    const base = rank * schedule.numChunks;
    const chunks = schedule.stageOf[rank]!.map((stage, chunk) => ({
      stage,
      first: variants.firstForward[base + chunk]!,
    }))
      .filter(({ first }) => first >= 0)
      .sort((a, b) => a.first - b.first);
    let arrivedSec = 0;
    for (const { stage, first } of chunks) {
      const { uses } = program.stages[stage]!;
      const forwardSec = variants.perActionSec[first]!;
      uses.forEach((use, i) => {
        for (const { priced } of pricesOf(rank).list(use.block, "gather")) arrivedSec += priced.durationSec;
        // Blocks of a chunk share its forward evenly: what is left after block i arrives is its share from i on.
        const restSec = (forwardSec * (uses.length - i)) / uses.length;
        earliestEndSec[first] = Math.max(earliestEndSec[first]!, arrivedSec + restSec);
      });
    }
    busySec[rank] = arrivedSec;
  }
  return { earliestEndSec, busySec };
}

/** The rank's gathers as a cost, for totals by op: they ran `busySec` and held up the step for `heldSec` of it. */
export function gatherCost(
  prices: BlockPrices,
  schedule: Schedule,
  at: { readonly rank: number; readonly heldSec: number; readonly computeFloor: number },
): ActionCost {
  const { program } = prices;
  const parts = schedule.stageOf[at.rank]!.flatMap((stage) =>
    program.stages[stage]!.uses.map((use): PhasePart => ({ block: use.block, list: "gather" })),
  );
  const cost = simulateBuilt(buildPhase(prices, parts), at);
  const exposed = cost.durationSec > 0 ? Math.min(1, at.heldSec / cost.durationSec) : 0;
  const ops = new Map([...cost.ops].map(([name, op]) => [name, { ...op, exposedSec: op.exposedSec * exposed }]));
  const sources = new Map(
    [...cost.sources].map(([name, { sec, stdSec }]) => [name, { sec: sec * exposed, stdSec: stdSec * exposed }]),
  );
  return { ...cost, ops, sources };
}
