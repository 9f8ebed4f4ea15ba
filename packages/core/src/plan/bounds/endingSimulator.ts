// What decides a strategy's clock, simulated without its pipeline: the actions of every stage with the gathers and reductions of an ending, the last backward
// of a step, and the tail. The load of the rank that works most sets the clock (simulate/simulateProgram.ts), and no load depends on when actions run.
//
// With zero2 and zero3 every action carries its exchange, so here its seconds are exact too; bodies share all actions of equal blocks, and endings all
// actions with an equal exchange. Tails know no micro-batch and no recomputation: all cores with equal parameters share them.

import { tableRanks } from "../../parallel/mesh.ts";
import type { Strategy } from "../../parallel/strategy.ts";
import { defaultPower, type StepLoad, sustainedClock } from "../../simulate/power.ts";
import { type RankTail, tailOfBlocks } from "../../simulate/stepTail.ts";
import type { ActionLoad } from "../../simulate/streams/actionLoads.ts";
import type { ActionOps } from "../../simulate/streams/buildAction.ts";
import { coreStrategy } from "../space/enumerate.ts";
import { softwareOf } from "../space/leaf.ts";
import type { Core, Ending, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import { ranksAlike, type StageTimes } from "./pipelineBound.ts";
import { actionOptions, type KeptProgram, lowerKept, ProgramLoads } from "./programLoads.ts";
import { type SimulatedBody, type StageSimulator, stageBlocks } from "./simulatedStages.ts";

interface EndingAt {
  readonly core: Core;
  readonly placement: Placement;
  readonly manner: Manner;
  readonly keep: Keep;
  readonly ending: Ending;
}

function lowerEnding(
  job: PlanJob,
  { core, placement, manner, keep, ending }: EndingAt,
): KeptProgram & { readonly loads: ProgramLoads } {
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
  const kept = lowerKept(job, keep, strategy, software);
  const { program } = kept;
  return { ...kept, loads: new ProgramLoads(job, { program, software, mesh: program.mesh, core, placement }) };
}

/** Actions with the exchange of an ending: of every micro-batch, or (`last`) of a chunk's last one. */
export class ExchangeSimulator {
  readonly exchanges: { readonly forward: boolean; readonly backward: boolean; readonly reduce: boolean };
  readonly lastDiffers: boolean;
  private readonly kept: KeptProgram & { readonly loads: ProgramLoads };

  constructor(job: PlanJob, at: EndingAt) {
    this.kept = lowerEnding(job, at);
    const { program } = this.kept;
    const each = program.reducePolicy === "everyMicroBatch";
    this.exchanges = {
      forward: program.gatherPolicy === "perForward" || program.gatherPolicy === "perPhase",
      backward: program.gatherPolicy === "perPhase",
      reduce: each,
    };
    this.lastDiffers = !each && program.overlapReduce && program.blocks.some((block) => block.reduce.length > 0);
  }

  load(kind: ActionOps, body: SimulatedBody, stage: number, at: { clockFrac: number; last: boolean }): ActionLoad {
    const blocks = stageBlocks(this.kept, body, stage);
    if (kind !== "F") blocks.reverse();
    const { forward, backward, reduce } = this.exchanges;
    const request = {
      kind,
      blocks,
      gather: kind === "F" ? forward : kind !== "W" && backward,
      reduce: (kind === "BW" || kind === "W") && (reduce || at.last),
    };
    return this.kept.loads.load(request, at.clockFrac);
  }

  /** Seconds of the stages with the exchange of every micro-batch. */
  times(body: SimulatedBody, clockFrac: number): StageTimes {
    const numStages = body.cut.rankAt.length;
    const forwardSec = new Float64Array(numStages);
    const backwardSec = new Float64Array(numStages);
    const weightSec = new Float64Array(numStages);
    const at = { clockFrac, last: false };
    const { sameAs } = body.cut;
    for (let s = 0; s < numStages; s++) {
      const same = sameAs[s]!;
      if (same < s) {
        for (const each of [forwardSec, backwardSec, weightSec]) each[s] = each[same]!;
        continue;
      }
      forwardSec[s] = this.load("F", body, s, at).durationSec;
      if (body.split) {
        weightSec[s] = this.load("W", body, s, at).durationSec;
        backwardSec[s] = this.load("B", body, s, at).durationSec + weightSec[s]!;
      } else backwardSec[s] = this.load("BW", body, s, at).durationSec;
    }
    return { forwardSec, backwardSec, weightSec };
  }
}

/** The end of a step on each rank, for an ending. */
export class TailSimulator {
  readonly tableRanks: readonly number[];
  private readonly kept: KeptProgram & { readonly loads: ProgramLoads };
  private readonly tails = new Map<string, RankTail>();

  constructor(job: PlanJob, at: EndingAt) {
    this.kept = lowerEnding(job, at);
    this.tableRanks = tableRanks(this.kept.program.mesh);
  }

  tail(positions: readonly number[], holdsTable: boolean): RankTail {
    const blocks = positions.map((i) => this.kept.blocks[i]!);
    const key = `${holdsTable}${blocks.join()}`;
    let tail = this.tails.get(key);
    if (tail === undefined) {
      tail = tailOfBlocks(this.kept.loads.prices, actionOptions, { blocks, holdsTable });
      this.tails.set(key, tail);
    }
    return tail;
  }
}

/**
 * The clock that the device sustains under the step's load.
 * @param plain actions without any exchange, for endings that exchange nothing with every micro-batch.
 */
export function endingClock(
  job: PlanJob,
  { pp, numMicroBatches: m }: Placement,
  body: SimulatedBody,
  by: { readonly plain: StageSimulator | null; readonly exchange: ExchangeSimulator; readonly tails: TailSimulator },
): number {
  const { cut, split } = body;
  const { plain, exchange, tails } = by;
  const once = exchange.lastDiffers ? 1 : 0;
  let pace: StepLoad | null = null;
  let busiest = -1;
  for (let rank = 0; rank < pp; rank++) {
    // As busy as the one before.
    if (rank > 0 && ranksAlike(cut, rank - 1, rank, pp)) continue;
    let busySec = 0;
    let matrixSec = 0;
    let joules = 0;
    const add = (cost: ActionLoad, times: number) => {
      busySec += cost.durationSec * times;
      matrixSec += cost.matrixSec * times;
      joules += cost.joules * times;
    };
    const held: number[] = [];
    for (let s = rank; s < cut.rankAt.length; s += pp) {
      for (let i = cut.starts[s]!; i < cut.starts[s + 1]!; i++) held.push(i);
      const load = (kind: ActionOps, last: boolean): ActionLoad =>
        plain === null || last ? exchange.load(kind, body, s, { clockFrac: 1, last }) : plain.load(kind, body, s, 1);
      add(load("F", false), m);
      if (split) add(load("B", false), m);
      const gradients = split ? "W" : "BW";
      add(load(gradients, false), m - once);
      if (once === 1) add(load(gradients, true), 1);
    }
    if (busySec <= busiest) continue;
    busiest = busySec;
    const tail = tails.tail(held, tails.tableRanks.includes(rank));
    for (const phase of [tail.reduce, tail.update, tail.gather]) busySec += phase.durationSec;
    matrixSec += tail.update.matrixSec;
    for (const phase of [tail.reduce, tail.update, tail.gather]) joules += phase.joules;
    pace = { busySec, matrixSec, joules };
  }
  return pace === null ? 1 : sustainedClock(job.cluster.device, pace, defaultPower);
}
