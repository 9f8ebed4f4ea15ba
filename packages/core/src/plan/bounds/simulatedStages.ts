// Seconds of a body's stages as the stream engine runs them, contention and host included, without gathers or reductions of data parallelism.
//
// As a floor of the same stages in a whole strategy this rests on two facts about the engine that bounds.test.ts checks on random strategies: ops added
// beside an action (gathers, reductions) never end it sooner, and neither does a lower clock. Stages of equal blocks are simulated once for all bodies.

import { opContext } from "../../cost/opContext.ts";
import { lowerTraining } from "../../parallel/lower/index.ts";
import type { Program } from "../../parallel/program.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { defaultContention } from "../../simulate/contention.ts";
import { hide } from "../../simulate/overlapExchange.ts";
import { defaultPace, paceOf } from "../../simulate/pace.ts";
import { type BlockPrices, blockPrices } from "../../simulate/streams/blockPrices.ts";
import type { ActionOps } from "../../simulate/streams/buildAction.ts";
import { simulateAction } from "../../simulate/streams/simulateAction.ts";
import { coreStrategy, placementMesh } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Body, Core, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import type { Chain } from "./actionPath.ts";
import type { StageCut, StageTimes } from "./pipelineBound.ts";

export class StageSimulator {
  private readonly prices: BlockPrices;
  /** Block at each position, with and without recomputation. */
  private readonly blocks: readonly number[];
  private readonly rest: readonly number[];
  private readonly hiding: Parameters<typeof hide>[1] | null;
  private readonly actions = new Map<string, Chain>();

  constructor(
    job: PlanJob,
    at: {
      readonly core: Core;
      readonly placement: Placement;
      readonly manner: Manner;
      readonly keep: Keep;
      readonly clockFrac: number;
    },
  ) {
    const { core, placement, manner, keep } = at;
    const { cluster } = job;
    const software = softwareOf(job, manner, null, null);
    const program = wholeModel(job, core, manner, keep);
    const strategy = program.strategy;
    const mesh = { ...program.program.mesh, ...placementMesh(core, placement, strategy.shardGroup) };
    const context = opContext({ cluster, mesh, software });
    const pace = paceOf(cluster.device, software, at.clockFrac, defaultPace);
    this.prices = blockPrices(program.program, context, defaultContention, pace);
    this.blocks = program.blocks;
    this.rest = program.rest;
    const hides = software.overlapMoeExchange && core.ep > 1 && placement.numMicroBatches > 1;
    this.hiding = hides
      ? {
          pairedFrac: Math.max(0, 1 - placement.pp / placement.numMicroBatches),
          rate: defaultContention.collectiveRate,
          unitFrac: defaultContention.unitsInside / cluster.device.units,
        }
      : null;
  }

  /** Also seconds of matrix work of one forward and backward, by stage. */
  times(
    cut: StageCut,
    at: { readonly body: Body; readonly split: boolean; readonly borders: Int32Array },
  ): SimulatedTimes {
    const numStages = cut.rankAt.length;
    const forwardSec = new Float64Array(numStages);
    const backwardSec = new Float64Array(numStages);
    const weightSec = new Float64Array(numStages);
    const matrixSec = new Float64Array(numStages);
    for (let s = 0; s < numStages; s++) {
      const border = at.borders[s]!;
      const blocks: number[] = [];
      for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++) blocks.push((i < border ? this.blocks : this.rest)[i]!);
      const forward = this.action("F", blocks);
      blocks.reverse();
      const backward = this.action(at.split ? "B" : "BW", blocks);
      const weights = at.split ? this.action("W", blocks) : noTime;
      forwardSec[s] = forward.sec;
      weightSec[s] = weights.sec;
      backwardSec[s] = backward.sec + weights.sec;
      matrixSec[s] = forward.matrixSec + backward.matrixSec + weights.matrixSec;
    }
    return { forwardSec, backwardSec, weightSec, matrixSec };
  }

  private action(kind: ActionOps, blocks: readonly number[]): Chain {
    const key = `${kind}${blocks.join()}`;
    let found = this.actions.get(key);
    if (found === undefined) {
      const { computeFloor } = defaultContention;
      const plain = simulateAction(this.prices, { kind, blocks, gather: false, reduce: false }, { computeFloor });
      const cost = this.hiding === null ? plain : hide(plain, this.hiding);
      found = { sec: cost.durationSec, matrixSec: cost.matrixSec };
      this.actions.set(key, found);
    }
    return found;
  }
}

const noTime: Chain = { sec: 0, matrixSec: 0 };

export interface SimulatedTimes extends StageTimes {
  readonly matrixSec: Float64Array;
}

interface WholeModel {
  readonly program: Program;
  readonly strategy: Strategy;
  readonly blocks: readonly number[];
  readonly rest: readonly number[];
}

/** All blocks on one pipeline rank; of a partial keep both kinds of layer. */
function wholeModel(job: PlanJob, core: Core, manner: Manner, keep: Keep): WholeModel {
  const { family, sequenceParallel } = manner;
  const strategy: Strategy = {
    ...coreStrategy(job, core, sequenceParallel),
    recompute: keep.recompute,
    offloadActivations: keep.offloadActivations,
    sharding: family === "plain" ? "zero1" : family,
  };
  const software = softwareOf(job, manner, null, null);
  const workload = { ...job.workload, globalBatch: strategy.microBatch * strategy.dp };
  const lower = (recompute: Strategy["recompute"]) =>
    lowerTraining(job.model, { ...strategy, recompute }, workload, software);
  const program = lower(keep.recompute);
  const blocks = program.stages[0]!.uses.map((use) => use.block);
  if (!keep.partial) return { program, strategy, blocks, rest: blocks };
  const plain = lower({ kind: "none" });
  const offset = program.blocks.length;
  const rest = plain.stages[0]!.uses.map((use, i) => {
    const isLayer = /(^|\.)layers\./.test(use.label);
    return isLayer ? use.block + offset : blocks[i]!;
  });
  return { program: { ...program, blocks: [...program.blocks, ...plain.blocks] }, strategy, blocks, rest };
}
