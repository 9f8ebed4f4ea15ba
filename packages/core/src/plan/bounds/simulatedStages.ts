// Seconds of a body's stages as the stream engine runs them, contention and host included, without gathers or reductions of data parallelism.
//
// As a floor of the same stages in a whole strategy this rests on two facts about the engine that bounds.test.ts checks on random strategies: ops added
// beside an action (gathers, reductions) never end it sooner, and neither does a lower clock. Stages of equal blocks are simulated once for all bodies.

import type { Strategy } from "../../parallel/strategy.ts";
import type { ActionLoad } from "../../simulate/streams/actionLoads.ts";
import type { ActionOps } from "../../simulate/streams/buildAction.ts";
import { coreStrategy, placementMesh } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Core, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import type { StageCut, StageTimes } from "./pipelineBound.ts";
import { type KeptProgram, lowerKept, ProgramLoads } from "./programLoads.ts";
import type { SharedLayers } from "./sharedLayers.ts";

/** Stages of a body: which layers each holds, and where those that recompute end. */
export interface SimulatedBody {
  readonly cut: StageCut;
  /** Backward is split into gradients of inputs and of weights. */
  readonly split: boolean;
  /** Position after the recomputed layers of each stage. */
  readonly borders: Int32Array;
}

export interface SimulatedTimes extends StageTimes {
  readonly matrixSec: Float64Array;
}

export class StageSimulator {
  private readonly loads: ProgramLoads;
  private readonly kept: KeptProgram;

  constructor(
    job: PlanJob,
    at: { readonly core: Core; readonly placement: Placement; readonly manner: Manner; readonly keep: Keep },
    shared: SharedLayers,
  ) {
    const { core, placement, manner, keep } = at;
    const { family, sequenceParallel } = manner;
    const strategy: Strategy = {
      ...coreStrategy(job, core, sequenceParallel),
      offloadActivations: keep.offloadActivations,
      sharding: family === "plain" ? "zero1" : family,
    };
    const software = softwareOf(job, manner, null, null);
    this.kept = lowerKept(job, keep, strategy, software, shared.blocks);
    const { program } = this.kept;
    const mesh = { ...program.mesh, ...placementMesh(core, placement, strategy.shardGroup) };
    this.loads = new ProgramLoads(job, { program, software, mesh, core, placement, shared: shared.prices });
  }

  /** Also seconds of matrix work of one forward and backward, by stage. */
  times(body: SimulatedBody, clockFrac: number): SimulatedTimes {
    const { split } = body;
    const numStages = body.cut.rankAt.length;
    const forwardSec = new Float64Array(numStages);
    const backwardSec = new Float64Array(numStages);
    const weightSec = new Float64Array(numStages);
    const matrixSec = new Float64Array(numStages);
    const { sameAs } = body.cut;
    for (let s = 0; s < numStages; s++) {
      const same = sameAs[s]!;
      if (same < s) {
        for (const each of [forwardSec, backwardSec, weightSec, matrixSec]) each[s] = each[same]!;
        continue;
      }
      const forward = this.load("F", body, s, clockFrac);
      const backward = this.load(split ? "B" : "BW", body, s, clockFrac);
      const weights = split ? this.load("W", body, s, clockFrac) : noTime;
      forwardSec[s] = forward.durationSec;
      weightSec[s] = weights.durationSec;
      backwardSec[s] = backward.durationSec + weights.durationSec;
      matrixSec[s] = forward.matrixSec + backward.matrixSec + weights.matrixSec;
    }
    return { forwardSec, backwardSec, weightSec, matrixSec };
  }

  load(kind: ActionOps, body: SimulatedBody, stage: number, clockFrac: number): ActionLoad {
    const blocks = stageBlocks(this.kept, body, stage);
    if (kind !== "F") blocks.reverse();
    return this.loads.load({ kind, blocks, gather: false, reduce: false }, clockFrac);
  }
}

/** Blocks of a stage in order. */
export function stageBlocks(
  { blocks, rest }: Pick<KeptProgram, "blocks" | "rest">,
  { cut, borders }: SimulatedBody,
  stage: number,
): number[] {
  const list: number[] = [];
  const border = borders[stage]!;
  for (let i = cut.starts[stage]!; i < cut.starts[stage + 1]!; i++) list.push((i < border ? blocks : rest)[i]!);
  return list;
}

const noTime: ActionLoad = { durationSec: 0, matrixSec: 0, joules: 0 };
