// A leaf's ending at the clock that its own load allows, with its exchange of every micro-batch simulated: the last floor before the leaf itself is.
//
// Up to here a leaf shares its body's stages, at a clock that bounds all of the body's endings, and exchanges (zero2, zero3) are added from sums over blocks.
// That is skipped where it would not raise the floor much: where neither power nor an exchange makes the ending's clock or actions its own, and where
// floors of the actions at that clock are above the best already. Bodies whose stages have no rank of their own (pipelineBound.ts), a spread head or
// possible pairs keep the floor that they have.

import { scheduleFamily } from "../../parallel/schedules/index.ts";
import type { Leaf, PlanJob } from "../space/types.ts";
import type { PricedBody } from "./bodyBounds.ts";
import { bodyStages, leastFloors, simulatedBody } from "./bodyStages.ts";
import type { CoreTables } from "./coreTables.ts";
import type { EndingBounds, EndingState } from "./endingBounds.ts";
import { withExchange } from "./endingTimes.ts";
import { stageWork } from "./exchangeFloors.ts";
import { pipelineEnds, type StageCut, type StageTimes, stageTimes } from "./pipelineBound.ts";
import type { ScheduleTraits } from "./scheduleTraits.ts";
import type { SimulatedTimes } from "./simulatedStages.ts";
import { gridded, highestClock, mayHoldBack } from "./stageClocks.ts";
import { type EndingStreams, type ScheduleOf, type TimedPipeline, timedPipeline } from "./timedPipeline.ts";

interface SettledParts {
  readonly tables: CoreTables;
  readonly traits: ScheduleTraits;
  readonly endings: EndingBounds;
  readonly scheduleOf: ScheduleOf;
}

export class SettledEndings {
  private readonly job: PlanJob;
  private readonly tables: CoreTables;
  private readonly traits: ScheduleTraits;
  private readonly endings: EndingBounds;
  private readonly scheduleOf: ScheduleOf;

  constructor(job: PlanJob, { tables, traits, endings, scheduleOf }: SettledParts) {
    this.job = job;
    this.tables = tables;
    this.traits = traits;
    this.endings = endings;
    this.scheduleOf = scheduleOf;
  }

  /** What to bound the leaf with. Null where the priced body is as good. */
  settled(leaf: Leaf, priced: PricedBody, best: number): EndingState | null {
    const { body, manner, ending } = leaf;
    const { cut } = priced;
    if (cut.rankAt[0]! < 0 || body.vocabOverStages || this.traits.mayPair) return null;
    const how = simulatedBody(this.tables, cut, leaf);
    const each = manner.family !== "plain";
    const streams = this.streams(leaf, cut);
    const simulator = this.tables.simulatorFor(leaf);
    if (!ending.offloadOptimizer && best < Number.POSITIVE_INFINITY) {
      // The body's stages at the clock that the ending may leave them, with what it adds to their pipeline, are often enough.
      const own = gridded(Math.min(priced.clockFrac, this.ownClock(leaf, cut, simulator.times(how, 1))));
      const lower = own < gridded(priced.clockFrac);
      if (lower || streams.arrivingSec !== null || streams.reducingSec !== null) {
        const times = lower ? simulator.times(how, own) : priced.times;
        const ends = lower ? pipelineEnds(cut, times, { ...leaf, hopSec: priced.hopSec }) : priced.ends;
        const state = { ...priced, times, ends, timed: this.timed(leaf, priced, times, streams) };
        if (this.endings.bound(leaf, ending, state) > best) return state;
      }
    }
    const floor = each || ending.offloadOptimizer ? 1 : priced.clockFrac;
    // A device that is not held back under the actions alone is not held back by what an ending adds to them.
    const free = floor >= 1 && !this.mayBeHeldBack(leaf, cut, simulator.times(how, 1));
    const onGrid = free ? 1 : gridded(this.tables.clockOf(leaf, how));
    if (!each && !ending.offloadOptimizer && onGrid >= gridded(priced.clockFrac)) {
      // The body's own stages serve; only the parameters on their way are the ending's.
      return streams.arrivingSec === null
        ? null
        : { ...priced, timed: this.timed(leaf, priced, priced.times, streams) };
    }
    const exchange = each ? this.tables.exchangeSimulator(leaf) : null;
    const boost = exchange?.times(how, 1) ?? null;
    if (boost !== null && onGrid < 1 && best < Number.POSITIVE_INFINITY) {
      // Floors of the actions at that clock are often enough.
      const state = this.withTimes(leaf, priced, {
        times: this.exchangedTimes(leaf, boost, onGrid),
        exchanged: true,
        best,
      });
      if (this.endings.bound(leaf, ending, state) > best) return state;
    }
    const times = exchange?.times(how, onGrid) ?? simulator.times(how, onGrid);
    return this.withTimes(leaf, priced, { times, exchanged: each, best });
  }

  /** The pipeline is simulated where the work of its ranks alone says too little. */
  private withTimes(
    leaf: Leaf,
    { cut, hopSec, joules }: PricedBody,
    at: { readonly times: StageTimes; readonly exchanged: boolean; readonly best: number },
  ): EndingState {
    const { placement, body, ending } = leaf;
    const { times, exchanged } = at;
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    const by = { chains: times, workOf: () => null, offloaded: null, cut, times, ends, hopSec, joules, exchanged };
    const untimed = { ...by, timed: null };
    if (this.endings.bound(leaf, ending, untimed) > at.best) return untimed;
    return { ...by, timed: this.timed(leaf, by, times, this.streams(leaf, cut)) };
  }

  private timed(
    { placement, body }: Leaf,
    { hopSec }: Pick<EndingState, "hopSec">,
    times: StageTimes,
    streams: EndingStreams,
  ): TimedPipeline {
    const how = { hopSec, overlapP2p: body.overlapP2p, loops: true, streams };
    return timedPipeline(this.scheduleOf(placement, body), times, how);
  }

  private streams(leaf: Leaf, cut: StageCut): EndingStreams {
    const { sharding, overlapParamGather, overlapGradReduce } = leaf.ending;
    const { gatherSec, reduceSec } = this.tables.endings.floorsFor(leaf, leaf.ending);
    const arrives = (sharding === "zero1" || sharding === "zero2") && overlapParamGather;
    const reduces = (sharding === "zero2" || sharding === "zero3") && overlapGradReduce;
    return { cut, arrivingSec: arrives ? gatherSec : null, reducingSec: reduces ? reduceSec : null };
  }

  /** Floors of the stages with the exchange of every micro-batch at a clock: no shorter than at boost clock, nor than their chains and compute. */
  private exchangedTimes(leaf: Leaf, boost: StageTimes, clockFrac: number): StageTimes {
    const { manner, body, ending } = leaf;
    const { cut, floors, rest, numRecomputed } = bodyStages(this.tables, leaf);
    const at = { floors, rest, numRecomputed, clockFrac };
    const alone = stageTimes(cut, at);
    const work = this.tables.hidesCommunication(manner) ? null : stageWork(cut, at);
    const { splitBackward: split } = scheduleFamily(body.schedule);
    const times = withExchange(cut, alone, {
      floors: this.tables.endings.floorsFor(leaf, ending),
      ending,
      alone,
      work,
      split,
    });
    const longer = (a: Float64Array, b: Float64Array) => a.map((sec, s) => Math.max(sec, b[s]!));
    return {
      forwardSec: longer(times.forwardSec, boost.forwardSec),
      backwardSec: longer(times.backwardSec, boost.backwardSec),
      weightSec: boost.weightSec,
    };
  }

  /** From the stages as they are simulated at boost clock, and what the ending adds to them at most. */
  private ownClock(leaf: Leaf, cut: StageCut, times: SimulatedTimes): number {
    const { placement, manner, keep } = leaf;
    if (this.tables.hidesCommunication(manner)) return 1;
    const { joules } = leastFloors(this.tables, placement, manner, keep);
    const waits = this.tables.endings.waitsFor(leaf, leaf.ending, this.tables.floorsFor(placement, manner, keep));
    return highestClock(this.job.cluster.device, { placement, cut, times, joules }, waits);
  }

  private mayBeHeldBack({ placement, manner, keep }: Leaf, cut: StageCut, times: SimulatedTimes): boolean {
    const { joules } = this.tables.floorsFor(placement, manner, keep);
    return mayHoldBack(this.job.cluster.device, { placement, cut, times, joules });
  }
}
