// Floors of time with an ending: parameters gathered and gradients reduced with every micro-batch (zero2, zero3), and what is reduced, updated and gathered
// after the pipeline.
//
// The same sum serves stages at every level: bounded by their chains, simulated, in a simulated pipeline, and with the exchange of every micro-batch in
// them (settledEnding.ts). The pipeline ends with the rank that finishes and reduces last; the tail is the longest update with the gather that
// follows it. Whichever rank is last in one need not be in the other, since all ranks meet between them.

import { scheduleFamily } from "../../parallel/schedules/index.ts";
import type { Ending, Leaf } from "../space/types.ts";
import type { BodyAt, CoreTables } from "./coreTables.ts";
import type { EndingFloors } from "./endingFloors.ts";
import { timedEnd, withExchange } from "./endingTimes.ts";
import type { StageWork } from "./exchangeFloors.ts";
import { orderedEnds } from "./orderedEnds.ts";
import { pipelineEnds, rankSum, type StageCut, type StageTimes } from "./pipelineBound.ts";
import type { StepValue } from "./stepValue.ts";
import type { TimedPipeline } from "./timedPipeline.ts";

/** A body's stages and pipeline, to which endings are added. */
export interface EndingState {
  /** Floors of the stages by their chains, where `times` are simulated. */
  readonly chains: StageTimes;
  /** Compute of the stages beside which exchanges run; null where it hides behind other micro-batches. */
  readonly workOf: () => StageWork | null;
  /** The stages hold the exchange of every micro-batch already. */
  readonly exchanged: boolean;
  /** For endings whose optimizer runs on the host, which keeps the device's clock up: floors alone. null: this state holds for them too. */
  readonly offloaded: EndingState | null;
  readonly timed: TimedPipeline | null;
  readonly cut: StageCut;
  readonly times: StageTimes;
  readonly ends: Float64Array;
  readonly hopSec: Float64Array;
  readonly joules: number;
}

export class EndingBounds {
  private readonly tables: CoreTables;
  private readonly value: StepValue;

  constructor(tables: CoreTables, value: StepValue) {
    this.tables = tables;
    this.value = value;
  }

  /** With the stages that the leaf's ending may use. */
  leafBound(leaf: Leaf, state: EndingState): number {
    const offloaded = leaf.ending.offloadOptimizer ? state.offloaded : null;
    return this.bound(leaf, leaf.ending, offloaded ?? state);
  }

  bound(at: BodyAt, ending: Ending, state: EndingState): number {
    const floors = this.tables.endings.floorsFor(at, ending);
    const { cut, timed } = state;
    const { pp } = at.placement;
    const each = ending.sharding === "zero2" || ending.sharding === "zero3";
    const gathersAfter = (ending.sharding === "zero1" || ending.sharding === "zero2") && !ending.overlapParamGather;
    const ends = this.rankEnds(at, { ending, floors, each }, state);
    let meet = 0;
    let tail = 0;
    for (let rank = 0; rank < pp; rank++) {
      if (timed !== null) ends[rank] = Math.max(ends[rank]!, timedEnd(cut, timed, floors, { rank, pp, ending, each }));
      const update = Math.max(
        rankSum(cut, floors.updateSec, rank, pp) + floors.normSec,
        rankSum(cut, floors.hostUpdateSec, rank, pp),
      );
      const gather = gathersAfter ? rankSum(cut, floors.gatherSec, rank, pp) : 0;
      if (ends[rank]! > meet) meet = ends[rank]!;
      if (update + gather > tail) tail = update + gather;
    }
    return this.value.valueAt(meet + tail, state.joules, state.ends);
  }

  /** When each rank has run and reduced everything, at the earliest; a new array. */
  private rankEnds(
    { placement, body }: BodyAt,
    of: { readonly ending: Ending; readonly floors: EndingFloors; readonly each: boolean },
    state: EndingState,
  ): Float64Array {
    const { ending, floors, each } = of;
    const { cut, hopSec } = state;
    const times =
      each && !state.exchanged
        ? withExchange(cut, state.times, {
            floors,
            ending,
            alone: state.chains,
            work: state.workOf(),
            split: scheduleFamily(body.schedule).splitBackward,
          })
        : state.times;
    const inOrder = body.schedule === "1f1b" || body.schedule === "interleaved";
    if (inOrder && !body.vocabOverStages) return orderedEnds(cut, times, floors, { placement, body, ending, hopSec });
    const { pp, numMicroBatches: m } = placement;
    const ends = each ? pipelineEnds(cut, times, { placement, body, hopSec }) : state.ends.slice();
    // Ends hold the drain through other ranks: whichever finishes last reduces no less than the rank with least.
    let leastReduce = Number.POSITIVE_INFINITY;
    for (let rank = 0; rank < pp; rank++) leastReduce = Math.min(leastReduce, rankSum(cut, floors.reduceSec, rank, pp));
    for (let rank = 0; rank < pp; rank++) {
      const reduce = rankSum(cut, floors.reduceSec, rank, pp);
      if (!each && !ending.overlapGradReduce) ends[rank]! += leastReduce;
      if (each && ending.overlapGradReduce) ends[rank] = Math.max(ends[rank]!, m * reduce);
    }
    return ends;
  }
}
