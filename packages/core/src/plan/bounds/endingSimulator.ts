// What decides a strategy's clock, simulated without its pipeline: the actions of every stage with the gathers and reductions of an ending, the last backward
// of a step, and the tail. The load of the rank that works most sets the clock (simulate/simulateProgram.ts), and no load depends on when actions run.
//
// With zero2 and zero3 every action carries its exchange, so here its seconds are exact too; bodies share all actions of equal blocks.

import { opContext } from "../../cost/opContext.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import { tableRanks } from "../../parallel/mesh.ts";
import type { Program } from "../../parallel/program.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { defaultContention } from "../../simulate/contention.ts";
import { hide } from "../../simulate/overlapExchange.ts";
import { defaultPace, paceOf } from "../../simulate/pace.ts";
import { defaultPower, type StepLoad, sustainedClock } from "../../simulate/power.ts";
import { type RankTail, tailOfBlocks } from "../../simulate/stepTail.ts";
import { type BlockPrices, blockPrices } from "../../simulate/streams/blockPrices.ts";
import type { ActionOps } from "../../simulate/streams/buildAction.ts";
import { type ActionCost, simulateAction } from "../../simulate/streams/simulateAction.ts";
import { coreStrategy } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Core, Ending, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import type { StageCut, StageTimes } from "./pipelineBound.ts";

export interface SimulatedBody {
  readonly cut: StageCut;
  readonly split: boolean;
  /** Position after the recomputed layers of each stage. */
  readonly borders: Int32Array;
}

const options = { computeFloor: defaultContention.computeFloor };

export class EndingSimulator {
  private readonly job: PlanJob;
  private readonly placement: Placement;
  private readonly prices: BlockPrices;
  private readonly blocks: readonly number[];
  private readonly rest: readonly number[];
  private readonly exchanges: { readonly forward: boolean; readonly backward: boolean; readonly reduce: boolean };
  private readonly lastDiffers: boolean;
  private readonly hiding: Parameters<typeof hide>[1] | null;
  /** Actions as they run in most micro-batches, and the last backward's with its reductions. */
  private readonly actions: Map<string, ActionCost>;
  private readonly lastActions = new Map<string, ActionCost>();
  private readonly tails = new Map<string, RankTail>();

  constructor(
    job: PlanJob,
    at: {
      readonly core: Core;
      readonly placement: Placement;
      readonly manner: Manner;
      readonly keep: Keep;
      readonly ending: Ending;
      readonly clockFrac: number;
      /** Shared by endings with the same exchange of every micro-batch. */
      readonly actions: Map<string, ActionCost>;
    },
  ) {
    const { core, placement, manner, keep, ending } = at;
    const { cluster } = job;
    this.job = job;
    this.actions = at.actions;
    this.placement = placement;
    const software = softwareOf(job, manner, null, ending);
    const strategy: Strategy = {
      ...coreStrategy(job, core, manner.sequenceParallel),
      pp: placement.pp,
      dp: placement.dp,
      order: placement.order,
      sharding: ending.sharding,
      shardGroup: ending.shardGroup,
      reshardAfterForward: ending.reshardAfterForward,
      offloadOptimizer: ending.offloadOptimizer,
      offloadActivations: keep.offloadActivations,
      balanceEmbedding: placement.pp > job.model.layers.length,
    };
    const workload = { ...job.workload, globalBatch: strategy.microBatch * strategy.dp };
    const lower = (recompute: Strategy["recompute"]) =>
      lowerTraining(job.model, { ...strategy, recompute }, workload, software);
    let program: Program = lower(keep.recompute);
    const uses = program.stages.flatMap((stage) => stage.uses);
    this.blocks = uses.map((use) => use.block);
    this.rest = this.blocks;
    if (keep.partial) {
      const plain = lower({ kind: "none" });
      const offset = program.blocks.length;
      this.rest = plain.stages
        .flatMap((stage) => stage.uses)
        .map((use, i) => (/(^|\.)layers\./.test(use.label) ? use.block + offset : this.blocks[i]!));
      program = { ...program, blocks: [...program.blocks, ...plain.blocks] };
    }
    const context = opContext({ cluster, mesh: program.mesh, software });
    this.prices = blockPrices(
      program,
      context,
      defaultContention,
      paceOf(cluster.device, software, at.clockFrac, defaultPace),
    );
    const each = program.reducePolicy === "everyMicroBatch";
    this.exchanges = {
      forward: program.gatherPolicy === "perForward" || program.gatherPolicy === "perPhase",
      backward: program.gatherPolicy === "perPhase",
      reduce: each,
    };
    this.lastDiffers = !each && program.overlapReduce && program.blocks.some((block) => block.reduce.length > 0);
    const hides = software.overlapMoeExchange && core.ep > 1 && placement.numMicroBatches > 1;
    this.hiding = hides
      ? {
          pairedFrac: Math.max(0, 1 - placement.pp / placement.numMicroBatches),
          rate: defaultContention.collectiveRate,
          unitFrac: defaultContention.unitsInside / cluster.device.units,
        }
      : null;
  }

  /** The clock that the device sustains under the step's load. Only for a simulator at boost clock. */
  clockOf({ cut, split, borders }: SimulatedBody): number {
    const { pp, numMicroBatches: m } = this.placement;
    const holders = tableRanks(this.prices.program.mesh);
    let pace: StepLoad | null = null;
    let busiest = -1;
    for (let rank = 0; rank < pp; rank++) {
      let busySec = 0;
      let matrixSec = 0;
      let joules = 0;
      const held: number[] = [];
      const add = (cost: ActionCost, times: number) => {
        busySec += cost.durationSec * times;
        matrixSec += cost.matrixSec * times;
        joules += cost.joules * times;
      };
      for (let s = rank; s < cut.rankAt.length; s += pp) {
        const blocks = this.stage(cut, borders, s);
        held.push(...blocks);
        const back = [...blocks].reverse();
        add(this.action("F", blocks, this.exchanges.forward, false), m);
        if (split) add(this.action("B", back, this.exchanges.backward, false), m);
        const last: ActionOps = split ? "W" : "BW";
        const gather = !split && this.exchanges.backward;
        const once = this.lastDiffers ? 1 : 0;
        add(this.action(last, back, gather, this.exchanges.reduce), m - once);
        if (once === 1) add(this.action(last, back, gather, true), 1);
      }
      if (busySec <= busiest) continue;
      busiest = busySec;
      const tail = this.tail(held, holders.includes(rank));
      for (const phase of [tail.reduce, tail.update, tail.gather]) busySec += phase.durationSec;
      matrixSec += tail.update.matrixSec;
      for (const phase of [tail.reduce, tail.update, tail.gather]) joules += phase.joules;
      pace = { busySec, matrixSec, joules };
    }
    return pace === null ? 1 : sustainedClock(this.job.cluster.device, pace, defaultPower);
  }

  /** Seconds of the stages with the exchange of every micro-batch. */
  times({ cut, split, borders }: SimulatedBody): StageTimes {
    const numStages = cut.rankAt.length;
    const times = {
      forwardSec: new Float64Array(numStages),
      backwardSec: new Float64Array(numStages),
      weightSec: new Float64Array(numStages),
    };
    for (let s = 0; s < numStages; s++) {
      const blocks = this.stage(cut, borders, s);
      const back = [...blocks].reverse();
      const { forward, backward, reduce } = this.exchanges;
      times.forwardSec[s] = this.action("F", blocks, forward, false).durationSec;
      if (split) {
        times.weightSec[s] = this.action("W", back, false, reduce).durationSec;
        times.backwardSec[s] = this.action("B", back, backward, false).durationSec + times.weightSec[s]!;
      } else times.backwardSec[s] = this.action("BW", back, backward, reduce).durationSec;
    }
    return times;
  }

  private stage(cut: StageCut, borders: Int32Array, s: number): number[] {
    const blocks: number[] = [];
    for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++)
      blocks.push((i < borders[s]! ? this.blocks : this.rest)[i]!);
    return blocks;
  }

  private action(kind: ActionOps, blocks: readonly number[], gather: boolean, reduce: boolean): ActionCost {
    const key = `${kind}${gather ? 1 : 0}${reduce ? 1 : 0}${blocks.join()}`;
    const known = reduce && !this.exchanges.reduce ? this.lastActions : this.actions;
    let cost = known.get(key);
    if (cost === undefined) {
      const plain = simulateAction(this.prices, { kind, blocks, gather, reduce }, options);
      cost = this.hiding === null ? plain : hide(plain, this.hiding);
      known.set(key, cost);
    }
    return cost;
  }

  private tail(blocks: readonly number[], holdsTable: boolean): RankTail {
    const key = `${holdsTable}${blocks.join()}`;
    let tail = this.tails.get(key);
    if (tail === undefined) {
      tail = tailOfBlocks(this.prices, options, { blocks, holdsTable });
      this.tails.set(key, tail);
    }
    return tail;
  }
}
