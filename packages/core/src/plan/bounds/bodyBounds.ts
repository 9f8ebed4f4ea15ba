// Floors of time of a body, each a relaxation of the next:
//   body    the pipeline's end on every rank (pipelineBound.ts), from the chains of its stages.
//   priced  the same with the stages simulated (simulatedStages.ts): contention and the host included. No ending makes an action shorter, and no lower clock
//           does.
//   timed   the pipeline itself simulated with those stages (timedPipeline.ts).
// Clock: a better best bounds the clock of what beats it further, so each floor holds for the best that it was taken with and any lower one, and is worth
// taking again when the best has fallen far enough. A priced body's clock is bounded by what its own stages draw as well (stageClocks.ts); an optimizer on
// the host keeps the device's clock up, so endings with one are bounded by chains alone.

import type { Ending, Family, Placement, PlanJob } from "../space/types.ts";
import { type BodyStages, bodyStages, leastFloors, sameBody, simulatedBody } from "./bodyStages.ts";
import type { BodyAt, CoreTables } from "./coreTables.ts";
import type { EndingBounds, EndingState } from "./endingBounds.ts";
import { type StageWork, stageWork } from "./exchangeFloors.ts";
import { pipelineEnds, rankSum, type StageCut, stageTimes } from "./pipelineBound.ts";
import { rankLoads } from "./rankLoads.ts";
import type { SimulatedTimes } from "./simulatedStages.ts";
import { gridded, highestClock } from "./stageClocks.ts";
import type { StepValue } from "./stepValue.ts";
import { type ScheduleOf, timedPipeline } from "./timedPipeline.ts";

/** A clock lower by less than this share is not worth simulating stages again. */
const CLOCK_STEP = 0.998;

/** A body bounded by its chains. */
export interface ChainedBody extends EndingState {
  /** Best value when the clock was bounded: floors hold for it and for any lower one. */
  readonly best: number;
  readonly clockFrac: number;
}

/** A body whose stages are simulated. */
export interface PricedBody extends EndingState {
  readonly clockFrac: number;
  /** Best value when the clock was bounded. */
  readonly best: number;
  readonly offloadedBound: number;
  readonly bound: number;
}

interface BodyParts {
  readonly tables: CoreTables;
  readonly value: StepValue;
  readonly endings: EndingBounds;
  readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];
  readonly scheduleOf: ScheduleOf;
}

export class BodyBounds {
  private readonly job: PlanJob;
  private readonly tables: CoreTables;
  private readonly value: StepValue;
  private readonly endings: EndingBounds;
  private readonly endingsAt: BodyParts["endingsAt"];
  private readonly scheduleOf: ScheduleOf;
  private last: {
    readonly at: BodyAt;
    readonly stages: BodyStages;
    readonly chained: ChainedBody;
    readonly byClock: Map<number, ChainedBody>;
  } | null = null;

  constructor(job: PlanJob, { tables, value, endings, endingsAt, scheduleOf }: BodyParts) {
    this.job = job;
    this.tables = tables;
    this.value = value;
    this.endings = endings;
    this.endingsAt = endingsAt;
    this.scheduleOf = scheduleOf;
  }

  bodyBound(at: BodyAt, best: number): number {
    const { joules, ends } = this.chained(at, best);
    return this.value.valueAt(latest(ends), joules, ends);
  }

  /** The body's stages and pipeline from floors of its chains alone. The last body asked for is remembered. */
  chained(at: BodyAt, best: number): ChainedBody {
    const known = this.last;
    if (known !== null && sameBody(known.at, at) && known.chained.best <= best) return known.chained;
    const { placement, manner, keep, body } = at;
    const stages = bodyStages(this.tables, at);
    const endings = this.endingsAt(placement, manner.family);
    const chained = this.chainedAt(at, stages, best, this.clockOf(at, stages, endings, best));
    this.last = { at: { placement, manner, keep, body }, stages, chained, byClock: new Map() };
    return chained;
  }

  /** The same at the clock that one ending leaves; no different where that is no lower. */
  chainedFor(at: BodyAt, ending: Ending, best: number): ChainedBody {
    const chained = this.chained(at, best);
    const { stages, byClock } = this.last!; // just made or found
    const clockFrac = gridded(this.clockOf(at, stages, ending, best));
    if (clockFrac >= chained.clockFrac * CLOCK_STEP) return chained;
    let found = byClock.get(clockFrac);
    if (found === undefined || found.best > best) {
      found = this.chainedAt(at, stages, best, clockFrac);
      byClock.set(clockFrac, found);
    }
    return found;
  }

  private chainedAt(at: BodyAt, stages: BodyStages, best: number, clockFrac: number): ChainedBody {
    const { placement, manner, body } = at;
    const { cut, floors, rest, numRecomputed } = stages;
    const joules = leastOfRanks(cut, placement, (rest ?? floors).joules);
    const times = stageTimes(cut, { floors, rest, numRecomputed, clockFrac });
    const hopSec = this.tables.hopsFor(placement, floors);
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    let work: StageWork | null = null;
    const hides = this.tables.hidesCommunication(manner);
    const workOf = () => {
      if (!hides) work ??= stageWork(cut, { floors, rest, numRecomputed, clockFrac });
      return work;
    };
    return {
      chains: times,
      workOf,
      exchanged: false,
      offloaded: null,
      timed: null,
      best,
      cut,
      times,
      ends,
      hopSec,
      joules,
      clockFrac,
    };
  }

  /** Highest clock of any rank with one of the endings, for a step that is better than the best. */
  private clockOf(at: BodyAt, stages: BodyStages, endings: Ending | readonly Ending[], best: number): number {
    const { placement, body } = at;
    if (best === Number.POSITIVE_INFINITY || stages.cut.rankAt[0]! < 0) return 1;
    if (!this.value.mayHoldBack(stages.floors) && (stages.rest === null || !this.value.mayHoldBack(stages.rest)))
      return 1;
    const waits = this.tables.endings.waitsFor(at, endings, stages.floors);
    return this.value.clockBelow(rankLoads(stages, placement, body, waits), best);
  }

  /** The body with its stages simulated, without what an ending adds. */
  priceBody(at: BodyAt, best: number): PricedBody {
    const chained = this.chained(at, best);
    const { cut, hopSec, joules } = chained;
    const { placement, body } = at;
    const how = simulatedBody(this.tables, cut, at);
    const simulator = this.tables.simulatorFor(at);
    const boost = simulator.times(how, 1);
    const clockFrac = Math.min(chained.clockFrac, this.clockOfStages(at, cut, boost));
    const onGrid = gridded(clockFrac);
    const times = onGrid < 1 ? simulator.times(how, onGrid) : boost;
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    let offloadedBound = Number.POSITIVE_INFINITY;
    for (const ending of this.endingsAt(placement, at.manner.family))
      if (ending.offloadOptimizer) offloadedBound = Math.min(offloadedBound, this.endings.bound(at, ending, chained));
    return {
      chains: chained.times,
      workOf: chained.workOf,
      exchanged: false,
      timed: null,
      best,
      clockFrac,
      cut,
      times,
      ends,
      hopSec,
      joules,
      offloaded: chained,
      offloadedBound,
      bound: Math.min(this.value.valueAt(latest(ends), joules, ends), offloadedBound),
    };
  }

  /** The same with the pipeline simulated, where the schedule's pairs do not overlap. */
  timeBody(at: BodyAt, priced: PricedBody): PricedBody {
    const { placement, body } = at;
    if (body.schedule.startsWith("dualpipe") || body.vocabOverStages) return priced;
    const { hopSec } = priced;
    const loops = priced.cut.rankAt[0]! >= 0;
    const how = { hopSec, overlapP2p: body.overlapP2p, loops };
    const timed = timedPipeline(this.scheduleOf(placement, body), priced.times, how);
    const end = latest(timed.endSec);
    const bound = Math.min(this.value.valueAt(end, priced.joules, priced.ends), priced.offloadedBound);
    return { ...priced, timed, bound: Math.max(priced.bound, bound) };
  }

  /** The same where a better best bounds the clock further. */
  repriced(at: BodyAt, priced: PricedBody, best: number): PricedBody {
    if (priced.best <= best) return priced;
    const { clockFrac } = this.chained(at, best);
    if (clockFrac >= priced.clockFrac * CLOCK_STEP) return { ...priced, best };
    const again = this.priceBody(at, best);
    return priced.timed === null ? again : this.timeBody(at, again);
  }

  /** Highest clock of any rank with any ending whose optimizer runs on the device. */
  private clockOfStages(at: BodyAt, cut: StageCut, boost: SimulatedTimes): number {
    const { placement, manner, keep } = at;
    if (cut.rankAt[0]! < 0 || this.tables.hidesCommunication(manner)) return 1;
    const endings = onDevice(this.endingsAt(placement, manner.family));
    if (endings.length === 0) return 1;
    const { joules } = leastFloors(this.tables, placement, manner, keep);
    const waits = this.tables.endings.waitsFor(at, endings, this.tables.floorsFor(placement, manner, keep));
    return highestClock(this.job.cluster.device, { placement, cut, times: boost, joules }, waits);
  }
}

const onDeviceOf = new WeakMap<readonly Ending[], readonly Ending[]>();

/** The same list each time. */
function onDevice(endings: readonly Ending[]): readonly Ending[] {
  let list = onDeviceOf.get(endings);
  if (list === undefined) {
    list = endings.filter((ending) => !ending.offloadOptimizer);
    onDeviceOf.set(endings, list);
  }
  return list;
}

function latest(ends: Float64Array): number {
  let end = 0;
  for (const each of ends) if (each > end) end = each;
  return end;
}

/** A sum over a rank's blocks and micro-batches, of the rank with least: the one that sets the pace has no less. */
function leastOfRanks(cut: StageCut, { pp, numMicroBatches: m }: Placement, prefix: Float64Array): number {
  if (cut.rankAt[0]! < 0) return 0;
  let least = Number.POSITIVE_INFINITY;
  for (let rank = 0; rank < pp; rank++) least = Math.min(least, rankSum(cut, prefix, rank, pp));
  return m * least;
}
