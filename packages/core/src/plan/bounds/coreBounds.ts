// The floors that a search asks for, level by level, with what they share remembered.
//
// Notation: m micro-batches, p pipeline ranks, a step lasts (end of pipeline + tail) x (1 + straggler share) in the simulation, so
//   step >= (1 + straggler) x (floor of the pipeline's end + floor of the tail).
// Levels, each a relaxation of the next:
//   manner  every block of the model runs m times and p ranks share them (mean over ranks); the fullest rank holds ceil(L / p) layers; the last rank starts and
//           ends with the pipeline. Nothing is recomputed.
//   keep    the same with the layer's recomputation.
//   body    the pipeline's end from each stage (pipelineBound.ts).
//   ending  parameters gathered and gradients reduced with every micro-batch (zero2, zero3), what is reduced, updated and gathered after the pipeline.
// Clock: a strategy that beats the best so far is busy no longer than that, and its layers draw at least so much energy, so its power limits its clock from
// above (simulate/power.ts): floors are taken at that clock.

import { type Schedule, scheduleFamily } from "../../parallel/schedules/index.ts";
import { defaultNoise, stragglerFrac } from "../../simulate/noise.ts";
import { defaultPower, sustainedClock } from "../../simulate/power.ts";
import type { Objective } from "../objectives/objective.ts";
import { schedules } from "../space/choices.ts";
import { numLayersOf, placementMesh } from "../space/enumerate.ts";
import type { Body, Core, Ending, Family, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { type BodyAt, CoreTables, plainKeep } from "./coreTables.ts";
import { dealsOf } from "./deals.ts";
import { leastHeld, timedEnd, withExchange } from "./endingTimes.ts";
import { type StageWork, stageWork } from "./exchangeFloors.ts";
import { hostBytes, persistentFloors, stageBytes, stashFloors } from "./memoryBound.ts";
import { orderedEnds } from "./orderedEnds.ts";
import { borderOf, pipelineEnds, rankSum, type StageCut, type StageTimes, stageTimes } from "./pipelineBound.ts";
import type { SimulatedTimes } from "./simulatedStages.ts";
import { spreadSums } from "./spreadSums.ts";
import type { StageFloors } from "./stageFloors.ts";
import { type TimedPipeline, timedPipeline } from "./timedPipeline.ts";

export class CoreBounds {
  private readonly job: PlanJob;
  private readonly core: Core;
  private readonly objective: Objective;
  private readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];
  private readonly scheduleOf: (placement: Placement, body: Body) => Schedule;
  private readonly slower: number;
  private readonly numLayers: number;
  private readonly computeOnly: boolean;
  private readonly exchanges = new Map<string, number>();
  private readonly tables: CoreTables;
  private last: { readonly at: BodyAt; readonly state: BodyState } | null = null;

  constructor(
    job: PlanJob,
    core: Core,
    objective: Objective,
    lists: {
      readonly endingsAt: (placement: Placement, family: Family) => readonly Ending[];
      readonly scheduleOf: (placement: Placement, body: Body) => Schedule;
    },
  ) {
    this.endingsAt = lists.endingsAt;
    this.scheduleOf = lists.scheduleOf;
    this.job = job;
    this.core = core;
    this.objective = objective;
    const { numDevices, node } = job.cluster;
    this.slower = 1 + stragglerFrac({ numDevices, devicesPerNode: node.numDevices }, defaultNoise);
    this.numLayers = numLayersOf(job);
    // Pairs of forward and backward hide each other's communication.
    this.computeOnly = schedules(job).some((name) => name.startsWith("dualpipe"));
    this.tables = new CoreTables(job, core, this.numLayers, this.computeOnly);
  }

  /**
   * Kernels alone: compute of the layers one after another, which the overlap inside a layer does not change. One lowering serves all manners of a family.
   */
  kernelBound(placement: Placement, manner: Manner, best: number): number {
    return this.spreadBound(placement, this.tables.kernelFloors(placement, manner), best);
  }

  /** The head is neither recomputed nor offloaded: whether its own activations fit at all. */
  headFits(placement: Placement, manner: Manner): boolean {
    return this.headExcess(placement, manner) <= 0;
  }

  /** Bytes that the head needs beyond the device at least. */
  headExcess(placement: Placement, manner: Manner): number {
    const floors = this.tables.kernelFloors(placement, manner);
    if (spreadsHead(this.job) || !onlyLoops(this.job)) return 0;
    const first = floors.layerAt.at(-1)! + 1;
    let peak = 0;
    for (let i = first; i < floors.numBlocks; i++) peak = Math.max(peak, floors.memory.at(i).peakBW);
    return peak - this.capacityBytes();
  }

  mannerBound(placement: Placement, manner: Manner, best: number): number {
    return this.spreadBound(placement, this.tables.floorsFor(placement, manner, plainKeep), best);
  }

  keepBound(placement: Placement, manner: Manner, keep: Keep, best: number): number {
    // Of a partial keep at least one layer recomputes; its floor is that of none.
    return this.spreadBound(
      placement,
      this.tables.floorsFor(placement, manner, keep.partial ? restOf(keep) : keep),
      best,
    );
  }

  bodyBound(at: BodyAt, best: number): number {
    const state = this.stateOf(at, best);
    let end = 0;
    for (const each of state.ends) if (each > end) end = each;
    return this.valueAt(end, state.joules, state.ends);
  }

  /** Whether the fullest rank may fit with the ending that holds least. */
  bodyFits(at: BodyAt, endings: readonly Ending[]): boolean {
    const least = leastHeld(endings);
    return least === undefined || this.fits(at, least);
  }

  /** Bytes that a body needs beyond the device, or beyond its share of the host, at least, with an ending. */
  excess(at: BodyAt, ending: Ending): number {
    const onDevice = this.fullest(at, ending) - this.capacityBytes();
    if (!at.keep.offloadActivations) return onDevice;
    const { hostMemoryBytes, numDevices } = this.job.cluster.node;
    const onHost = Math.max(...this.stateOf(at, Number.POSITIVE_INFINITY).hostOf()) - hostMemoryBytes / numDevices;
    return Math.max(onDevice, onHost);
  }

  private capacityBytes(): number {
    return this.job.cluster.device.memoryBytes - this.job.software.reservedBytes;
  }

  /** The least floor over endings that may fit, with the stages' floors; infinite when none fits. */
  bodyEndings(at: BodyAt, endings: readonly Ending[], best: number): number {
    return this.bestEnding(at, endings, best)?.floor ?? Number.POSITIVE_INFINITY;
  }

  /** The ending with the least floor of those that may fit; null when none may. */
  bestEnding(
    at: BodyAt,
    endings: readonly Ending[],
    best: number,
  ): { readonly ending: Ending; readonly floor: number } | null {
    const state = this.stateOf(at, best);
    let least: { ending: Ending; floor: number } | null = null;
    for (const ending of endings) {
      if (!this.fits(at, ending)) continue;
      const floor = this.endingFloor(at, ending, state);
      if (least === null || floor < least.floor) least = { ending, floor };
    }
    return least;
  }

  /** The body's stages simulated, without what an ending adds: no ending makes an action shorter, and no lower clock. */
  priceBody(at: BodyAt, best: number): PricedBody {
    const { cut, hopSec, joules, clockFrac: looseClock } = this.stateOf(at, best);
    const { placement, body } = at;
    const how = { cut, split: scheduleFamily(body.schedule).splitBackward, borders: this.bordersOf(cut, at) };
    const simulator = this.tables.simulatorFor(at);
    const boost = simulator.times(how, 1);
    const clockFrac = Math.min(looseClock, this.clockOfStages(at, cut, boost));
    const onGrid = gridded(clockFrac);
    const times = onGrid < 1 ? simulator.times(how, onGrid) : boost;
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    let end = 0;
    for (const each of ends) if (each > end) end = each;
    const offloaded = this.stateOf(at, best);
    let offloadedBound = Number.POSITIVE_INFINITY;
    for (const ending of this.endingsAt(placement, at.manner.family))
      if (ending.offloadOptimizer) offloadedBound = Math.min(offloadedBound, this.endingFloor(at, ending, offloaded));
    const bound = Math.min(this.valueAt(end, joules, ends), offloadedBound);
    return {
      chains: offloaded.times,
      workOf: offloaded.workOf,
      exchanged: false,
      timed: null,
      best,
      clockFrac,
      cut,
      times,
      ends,
      hopSec,
      joules,
      offloaded,
      offloadedBound,
      bound,
    };
  }

  /**
   * Highest clock of any rank, from what its actions last and draw at boost clock. What an ending adds lengthens a rank's busy time by no more than
   * EXTRA_TIMES its own seconds: an op beside others runs at no less than a third of its rate, and slows them by less than it lasts.
   */
  private clockOfStages(at: BodyAt, cut: StageCut, boost: SimulatedTimes): number {
    const { placement, manner, keep } = at;
    const { pp, numMicroBatches: m } = placement;
    if (manner.family !== "plain" || cut.rankAt[0]! < 0) return 1;
    const floors = this.tables.floorsFor(placement, manner, keep.partial ? restOf(keep) : keep);
    const endings = this.endingsAt(placement, manner.family)
      .filter((ending) => !ending.offloadOptimizer)
      .map((ending) => this.tables.endingFor(at, ending));
    if (endings.length === 0) return 1;
    let clock = 0;
    for (let rank = 0; rank < pp; rank++) {
      let busySec = 0;
      let matrixSec = 0;
      for (let s = rank; s < cut.rankAt.length; s += pp) {
        busySec += m * (boost.forwardSec[s]! + boost.backwardSec[s]!);
        matrixSec += m * boost.matrixSec[s]!;
      }
      let extraSec = 0;
      for (const each of endings) {
        const sum = (prefix: Float64Array) => rankSum(cut, prefix, rank, pp);
        const own = sum(each.reduceSec) + sum(each.gatherSec) + sum(each.updateSec) + each.normSec;
        // A tied token table is reduced once more over its holders.
        extraSec = Math.max(extraSec, EXTRA_TIMES * (own + sum(each.reduceSec) + sum(each.launchSec)));
      }
      const joules = m * rankSum(cut, floors.joules, rank, pp);
      const load = { busySec: busySec + extraSec, matrixSec: matrixSec + extraSec, joules };
      clock = Math.max(clock, sustainedClock(this.job.cluster.device, load, defaultPower));
    }
    return clock;
  }

  /** What `endingBound` needs, from floors of the stages alone. */
  floorState(at: BodyAt, best: number): EndingState {
    return this.stateOf(at, best);
  }

  /** The same with the pipeline simulated, where the schedule's pairs do not overlap. */
  timeBody(at: BodyAt, priced: PricedBody): PricedBody {
    const { placement, body } = at;
    if (body.schedule.startsWith("dualpipe") || body.vocabOverStages) return priced;
    const loops = priced.cut.rankAt[0]! >= 0;
    const timed = timedPipeline(this.scheduleOf(placement, body), priced.times, {
      hopSec: priced.hopSec,
      overlapP2p: body.overlapP2p,
      loops,
    });
    const end = timed.endSec.reduce((a, b) => Math.max(a, b), 0);
    const bound = Math.min(this.valueAt(end, priced.joules, priced.ends), priced.offloadedBound);
    return { ...priced, timed, bound: Math.max(priced.bound, bound) };
  }

  /** Position after the recomputed layers of each stage; its end where all of them are alike. */
  private bordersOf(cut: StageCut, { placement, manner, keep, body }: BodyAt): Int32Array {
    const floors = this.tables.floorsFor(placement, manner, keep);
    return cut.rankAt.map((_, s) => (keep.partial ? borderOf(cut, floors, s, body.numRecomputed) : cut.starts[s + 1]!));
  }

  /** The same where a better best bounds the clock further. */
  repriced(at: BodyAt, priced: PricedBody, best: number): PricedBody {
    if (priced.best <= best) return priced;
    const { clockFrac } = this.stateOf(at, best);
    if (clockFrac >= priced.clockFrac * CLOCK_STEP) return { ...priced, best };
    const again = this.priceBody(at, best);
    return priced.timed === null ? again : this.timeBody(at, again);
  }

  /**
   * The ending's state at the clock that its own load allows, with its exchange of every micro-batch simulated. Null where the state at hand is as good.
   */
  settledEnding(leaf: Leaf, priced: PricedBody, best: number): EndingState | null {
    const { body, manner, ending } = leaf;
    const { cut } = priced;
    if (cut.rankAt[0]! < 0 || body.vocabOverStages || this.computeOnly) return null;
    const how = { cut, split: scheduleFamily(body.schedule).splitBackward, borders: this.bordersOf(cut, leaf) };
    const each = manner.family !== "plain";
    const floor = each || ending.offloadOptimizer ? 1 : priced.clockFrac;
    // A device that is not held back under the actions alone is not held back by what an ending adds to them.
    const simulator = this.tables.simulatorFor(leaf);
    const onGrid =
      floor >= 1 && !this.limited(leaf, cut, simulator.times(how, 1)) ? 1 : gridded(this.tables.clockOf(leaf, how));
    if (!each && !ending.offloadOptimizer && onGrid >= gridded(priced.clockFrac)) return null;
    const exchange = each ? this.tables.exchangeSimulator(leaf) : null;
    const boost = exchange?.times(how, 1) ?? null;
    if (boost !== null && onGrid < 1 && best < Number.POSITIVE_INFINITY) {
      // Floors of the actions at that clock are often enough.
      const floors = this.exchangedAt(leaf, boost, onGrid);
      const state = this.withTimes(leaf, priced, floors, true);
      if (this.endingFloor(leaf, ending, state) > best) return state;
    }
    const times = exchange?.times(how, onGrid) ?? simulator.times(how, onGrid);
    return this.withTimes(leaf, priced, times, each);
  }

  private withTimes(leaf: Leaf, priced: PricedBody, times: StageTimes, exchanged: boolean): EndingState {
    const { placement, body } = leaf;
    const { cut, hopSec, joules } = priced;
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    const { overlapP2p } = body;
    const timed = timedPipeline(this.scheduleOf(placement, body), times, { hopSec, overlapP2p, loops: true });
    return { chains: times, workOf: () => null, offloaded: null, timed, cut, times, ends, hopSec, joules, exchanged };
  }

  /** Floors of the stages with the exchange of every micro-batch at a clock: no shorter than at boost clock, nor than their chains and compute. */
  private exchangedAt(leaf: Leaf, boost: StageTimes, clockFrac: number): StageTimes {
    const { placement, manner, keep, body, ending } = leaf;
    const floors = this.tables.floorsFor(placement, manner, keep);
    const rest = keep.partial ? this.tables.floorsFor(placement, manner, restOf(keep)) : null;
    const cut = this.tables.cutFor(placement.pp, body, floors);
    const at = { floors, rest, numRecomputed: body.numRecomputed, clockFrac };
    const alone = stageTimes(cut, at);
    const work = this.hides(manner) ? null : stageWork(cut, at);
    const { splitBackward: split } = scheduleFamily(body.schedule);
    const times = withExchange(cut, alone, { floors: this.tables.endingFor(leaf, ending), ending, alone, work, split });
    const longer = (a: Float64Array, b: Float64Array) => a.map((sec, s) => Math.max(sec, b[s]!));
    return {
      forwardSec: longer(times.forwardSec, boost.forwardSec),
      backwardSec: longer(times.backwardSec, boost.backwardSec),
      weightSec: boost.weightSec,
    };
  }

  /** Communication inside a layer hides behind other micro-batches. */
  private hides(manner: Manner): boolean {
    return this.computeOnly || (manner.overlapMoeExchange && this.core.ep > 1);
  }

  /** Whether power may hold back a rank that does its actions alone: they draw too much for their time at boost clock. */
  private limited(at: BodyAt, cut: StageCut, boost: SimulatedTimes): boolean {
    const { placement, manner, keep } = at;
    const { pp, numMicroBatches: m } = placement;
    const floors = this.tables.floorsFor(placement, manner, keep);
    for (let rank = 0; rank < pp; rank++) {
      let busySec = 0;
      for (let s = rank; s < cut.rankAt.length; s += pp) busySec += m * (boost.forwardSec[s]! + boost.backwardSec[s]!);
      // Gathers and reductions draw a little themselves: a share above what they have been seen to.
      const joules = COMMUNICATION_DRAW * m * rankSum(cut, floors.joules, rank, pp);
      const load = { busySec, matrixSec: busySec, joules };
      if (sustainedClock(this.job.cluster.device, load, defaultPower) < FREE_CLOCK) return true;
    }
    return false;
  }

  endingBound(leaf: Leaf, state: EndingState): number {
    const offloaded = leaf.ending.offloadOptimizer ? state.offloaded : null;
    return this.endingFloor(leaf, leaf.ending, offloaded ?? state);
  }

  private endingFloor(at: BodyAt, ending: Ending, state: EndingState): number {
    const { placement, body } = at;
    const floors = this.tables.endingFor(at, ending);
    const { cut } = state;
    const { pp, numMicroBatches: m } = placement;
    const each = ending.sharding === "zero2" || ending.sharding === "zero3";
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
    let meet = 0;
    let tail = 0;
    let ends: Float64Array;
    if (inOrder && !body.vocabOverStages) {
      ends = orderedEnds(cut, times, floors, { placement, body, ending, hopSec: state.hopSec });
    } else {
      ends = each ? pipelineEnds(cut, times, { placement, body, hopSec: state.hopSec }) : state.ends.slice();
      // Ends hold the drain through other ranks: whichever finishes last reduces no less than the rank with least.
      let leastReduce = Number.POSITIVE_INFINITY;
      for (let rank = 0; rank < pp; rank++)
        leastReduce = Math.min(leastReduce, rankSum(cut, floors.reduceSec, rank, pp));
      for (let rank = 0; rank < pp; rank++) {
        const reduce = rankSum(cut, floors.reduceSec, rank, pp);
        if (!each && !ending.overlapGradReduce) ends[rank]! += leastReduce;
        if (each && ending.overlapGradReduce) ends[rank] = Math.max(ends[rank]!, m * reduce);
      }
    }
    const { timed } = state;
    for (let rank = 0; rank < pp; rank++) {
      if (timed !== null) ends[rank] = Math.max(ends[rank]!, timedEnd(cut, timed, floors, { rank, pp, ending, each }));
      const update = Math.max(
        rankSum(cut, floors.updateSec, rank, pp) + floors.normSec,
        rankSum(cut, floors.hostUpdateSec, rank, pp),
      );
      const gathers = ending.sharding === "zero1" || ending.sharding === "zero2";
      const gather = gathers && !ending.overlapParamGather ? rankSum(cut, floors.gatherSec, rank, pp) : 0;
      if (ends[rank]! > meet) meet = ends[rank]!;
      if (update + gather > tail) tail = update + gather;
    }
    return this.valueAt(meet + tail, state.joules, state.ends);
  }

  endingFits(leaf: Leaf): boolean {
    return this.fits(leaf, leaf.ending);
  }

  private fits(at: BodyAt, ending: Ending): boolean {
    return this.excess(at, ending) <= 0;
  }

  /** Floor of the fullest rank's bytes. */
  private fullest(at: BodyAt, ending: Ending): number {
    const { cut, stashOf } = this.stateOf(at, Number.POSITIVE_INFINITY);
    const stash = stashOf();
    const { pp } = at.placement;
    const floors = this.tables.endingFor(at, ending);
    const held = persistentFloors(cut, floors, pp);
    let most = 0;
    for (let rank = 0; rank < pp; rank++) {
      let gathered = 0;
      if (ending.sharding === "zero3" && cut.rankAt[0]! >= 0) {
        for (let s = rank; s < cut.rankAt.length; s += pp)
          for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++)
            gathered = ending.reshardAfterForward
              ? Math.max(gathered, floors.gatheredBytes[i]!)
              : gathered + floors.gatheredBytes[i]!;
      }
      most = Math.max(most, held[rank]! + stash[rank]! + gathered);
    }
    return most;
  }

  /** Mean and ends of the pipeline over every way to deal the layers. */
  private spreadBound(placement: Placement, floors: StageFloors, best: number): number {
    const { pp, numMicroBatches: m } = placement;
    const spread = this.computeOnly || spreadsHead(this.job);
    const { kinds, layerJoules, layerOther, whole: all, ends: last } = spreadSums(floors);
    const deals = dealsOf(this.numLayers, pp);
    const loops = onlyLoops(this.job);
    let fewest = loops ? Number.POSITIVE_INFINITY : 0;
    for (const deal of deals) fewest = Math.min(fewest, deal.fewest);
    const clock = this.clockBelow(m * fewest * layerJoules, m * fewest * layerOther, best);
    const slow = 1 / clock - 1;
    let layer = Number.POSITIVE_INFINITY;
    for (const each of kinds) layer = Math.min(layer, each.sec + slow * each.matrixSec);
    const ends = spread ? 0 : last.sec + slow * last.matrixSec;
    const whole = all.sec + slow * all.matrixSec + ends;
    let hop = 0;
    if (pp > 1) {
      const hops = this.tables.hopsFor(placement, floors);
      for (let rank = 0; rank + 1 < pp; rank++) hop += hops[rank]!;
    }
    // Two directions or V shapes have no last rank, and a split backward need not drain: the mean alone.
    let least = (m * whole) / pp;
    if (loops) {
      const fullest = Math.max(least, m * Math.ceil(this.numLayers / pp) * layer);
      least = Number.POSITIVE_INFINITY;
      for (const deal of deals)
        least = Math.min(least, Math.max(fullest, m * (deal.last * layer + ends) + deal.fill * layer + 2 * hop));
    }
    least = Math.max(least, this.exchangeFloor(placement, floors));
    return this.valueAt(least, m * fewest * layerJoules, [least]);
  }

  /** zero2, zero3: streams of the mean rank that gather parameters and reduce gradients with every micro-batch, over the best group. */
  private exchangeFloor(placement: Placement, floors: StageFloors): number {
    const { family } = floors;
    if (family === "plain") return 0;
    const { pp, numMicroBatches: m } = placement;
    const key = `${pp}:${placement.order.join("-")}:${family}`;
    let least = this.exchanges.get(key);
    if (least === undefined) {
      least = Number.POSITIVE_INFINITY;
      const endings = this.endingsAt(placement, family);
      for (const shardGroup of new Set(endings.map((ending) => ending.shardGroup))) {
        const mesh = placementMesh(this.core, placement, shardGroup);
        const { gatherSec, reduceSec } = floors.exchange(mesh);
        const gathers = family === "zero2" ? 0 : endings.some((ending) => !ending.reshardAfterForward) ? 1 : 2;
        least = Math.min(least, Math.max(gathers * gatherSec, reduceSec));
      }
      this.exchanges.set(key, least);
    }
    return (m * least) / pp;
  }

  private valueAt(endSec: number, joules: number, ends: ArrayLike<number>): number {
    let busy = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ends.length; i++) busy = Math.min(busy, ends[i]!);
    return this.objective.floorOf(endSec * this.slower * ROUNDED, joules, busy);
  }

  /**
   * The highest clock of a step that is better than `best` and whose busiest rank draws at least `joules`, of which it spends at least `otherSec` on
   * compute that is not matrix work. Matrix ops are on one stream with that compute, so they take no more than the rest.
   */
  private clockBelow(joules: number, otherSec: number, best: number): number {
    if (best === Number.POSITIVE_INFINITY) return 1;
    const busySec = this.objective.stepSecOf(best) / this.slower;
    const matrixSec = Math.max(0, busySec - otherSec);
    return sustainedClock(this.job.cluster.device, { busySec, matrixSec, joules }, defaultPower);
  }

  private stateOf(at: BodyAt, best: number): BodyState {
    const known = this.last;
    if (known !== null && same(known.at, at) && known.state.best <= best) return known.state;
    const { placement, manner, keep, body } = at;
    const floors = this.tables.floorsFor(placement, manner, keep);
    const rest = keep.partial ? this.tables.floorsFor(placement, manner, restOf(keep)) : null;
    const cut = this.tables.cutFor(placement.pp, body, floors);
    const joules = this.leastOfRanks(cut, placement, (rest ?? floors).joules);
    const otherSec = this.leastOfRanks(cut, placement, (rest ?? floors).otherSec);
    const clockFrac = this.clockBelow(joules, otherSec, best);
    const { numRecomputed } = body;
    const times = stageTimes(cut, { floors, rest, numRecomputed, clockFrac });
    const hopSec = this.tables.hopsFor(placement, floors);
    const ends = pipelineEnds(cut, times, { placement, body, hopSec });
    let stash: Float64Array | null = null;
    const stashOf = () => {
      stash ??= stashFloors(cut, stageBytes(cut, { floors, rest, numRecomputed }), placement, body);
      return stash;
    };
    let hosted: Float64Array | null = null;
    const hostOf = () => {
      hosted ??= stashFloors(cut, hostBytes(cut, { floors, rest, numRecomputed }), placement, body);
      return hosted;
    };
    let work: StageWork | null = null;
    const hides = this.hides(manner);
    const workOf = () => {
      if (!hides) work ??= stageWork(cut, { floors, rest, numRecomputed, clockFrac });
      return work;
    };
    const state: BodyState = {
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
      stashOf,
      hostOf,
    };
    this.last = { at: { placement, manner, keep, body }, state };
    return state;
  }

  /** A sum over a rank's blocks and micro-batches, of the rank with least: the one that sets the pace has no less. */
  private leastOfRanks(cut: StageCut, placement: Placement, prefix: Float64Array): number {
    const { pp, numMicroBatches: m } = placement;
    if (cut.rankAt[0]! < 0) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (let rank = 0; rank < pp; rank++) least = Math.min(least, rankSum(cut, prefix, rank, pp));
    return m * least;
  }
}

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

/** Floors add in other orders than the simulation; two that are equal must not part by rounding. */
const ROUNDED = 1 - 4e-9;

/** Clocks are rounded up to this, so that bodies share simulated stages. */
const CLOCK_GRID = 0.0025;

/** Above 1 / ContentionParameters.computeFloor, so that what is said of it holds. Larger is safe: the clock is bounded less. */
const EXTRA_TIMES = 3;

/** Held back by less than this, a clock of its own is not worth its simulation: boost clock bounds it well. */
const FREE_CLOCK = 0.98;

/**
 * Energy of a step over that of its layers from which a clock is simulated. Like FREE_CLOCK it decides only whether that is worth its time: the floor at boost
 * clock holds in any case.
 */
const COMMUNICATION_DRAW = 1.1;

function gridded(clockFrac: number): number {
  return Math.min(1, Math.ceil(clockFrac / CLOCK_GRID) * CLOCK_GRID);
}

/** A clock lower by less than this share is not worth simulating stages again. */
const CLOCK_STEP = 0.998;

export interface PricedBody extends EndingState {
  readonly clockFrac: number;
  /** Best value when the clock was bounded. */
  readonly best: number;
  readonly offloadedBound: number;
  readonly bound: number;
}

interface BodyState extends EndingState {
  /** Best value when the clock was bounded: floors hold for it and for any lower one. */
  readonly best: number;
  readonly clockFrac: number;
  readonly stashOf: () => Float64Array;
  /** Per rank, what the host holds at least. */
  readonly hostOf: () => Float64Array;
}

function same(a: BodyAt, b: BodyAt): boolean {
  return a.placement === b.placement && a.manner === b.manner && a.keep === b.keep && a.body === b.body;
}

/** What the layers of a partial keep that do not recompute look like. */
function restOf(keep: Keep): Keep {
  return keep.offloadActivations ? offloadedKeep : plainKeep;
}

const offloadedKeep: Keep = { ...plainKeep, offloadActivations: true };

function spreadsHead(job: PlanJob): boolean {
  return job.limits.fix.has("vocab_over_stages") || job.limits.open.has("vocab_over_stages");
}

const loopSchedules: readonly string[] = ["gpipe", "1f1b", "interleaved", "breadth-first"];

function onlyLoops(job: PlanJob): boolean {
  return schedules(job).every((name) => loopSchedules.includes(name));
}
