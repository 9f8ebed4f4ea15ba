// One class of pipelines through a step: durations of its actions, their timeline, memory, and what each pipeline rank waits for at the end. The classes of
// a step (parallel/rankSites.ts; one in a cluster of one kind) meet in simulateProgram.ts.

import type { ClusterSpec } from "../cluster/types.ts";
import type { Program } from "../parallel/program.ts";
import type { PipelineClass } from "../parallel/rankSites.ts";
import type { Software } from "../parallel/strategy.ts";
import { type ActionVariants, actionVariants } from "./actionDurations.ts";
import { type GatherStream, gatherStream } from "./gatherStream.ts";
import { type ProgramMemory, programMemory } from "./memory/rankMemory.ts";
import type { ResolvedOptions } from "./options.ts";
import { type OverlappedPair, type PipelineTimeline, simulatePipeline } from "./pipeline/index.ts";
import { type RankTotals, rankTotals } from "./rankTotals.ts";
import type { SiteCosts } from "./siteCosts.ts";
import type { StageActions } from "./stageActions.ts";
import { flushOf, replicaSyncSeconds } from "./stepEnds.ts";
import type { RankTail } from "./stepTail.ts";
import { HOST_SHARE, SHARES } from "./streams/streamOps.ts";
import { transferSeconds } from "./transfers.ts";

export interface PipelineRun {
  readonly at: PipelineClass;
  /** The program with the class's share of micro-batches. */
  readonly program: Program;
  /** By pipeline rank. */
  readonly costs: readonly SiteCosts[];
  readonly variants: ActionVariants;
  readonly transferSec: ReturnType<typeof transferSeconds>;
  readonly gathers: GatherStream | null;
  readonly timeline: PipelineTimeline;
  readonly memory: ProgramMemory;
}

/** @param known memory of the same program: it follows the order of actions, not their durations. */
export function runPipeline(at: {
  readonly class: PipelineClass;
  readonly program: Program;
  readonly cluster: ClusterSpec;
  readonly software: Software;
  readonly costs: readonly SiteCosts[];
  readonly options: ResolvedOptions;
  readonly known: ProgramMemory | undefined;
}): PipelineRun {
  const { program, software, costs, options } = at;
  const { schedule } = program;
  const variants = actionVariants(schedule, {
    onceDiffers: costs[0]!.actions.onceDiffers,
    reducePolicy: program.reducePolicy,
    secondsOf: (rank, stage, kind, variant) => costs[rank]!.actions.cost(stage, kind, variant).durationSec,
  });
  const transferSec = transferSeconds(program, at.cluster, options.pace.networkFrac, at.class.replicas[0]!);
  const gathers = gatherStream(program, (rank) => costs[rank]!.prices, variants);
  const timeline = simulatePipeline({
    schedule,
    durations: { perActionSec: variants.perActionSec },
    ...(schedule.numRanks === 1 ? {} : { transferSec }),
    overlapP2p: software.overlapP2p,
    ...(gathers === null ? {} : { earliestEndSec: gathers.earliestEndSec }),
    pairSec: (pair) => pairSeconds(pair, schedule.stageOf[pair.rank]!, costs[pair.rank]!.actions.cost),
  });
  const memory =
    at.known ??
    programMemory({
      program,
      software,
      timeline,
      capacityBytes: costs.map((cost) => cost.capacityBytes),
      allocator: options.allocator,
    });
  return { at: at.class, program, costs, variants, transferSec, gathers, timeline, memory };
}

/** F and B of different micro-batches together (DualPipe): compute of both in turn, communication of one behind compute of the other. */
function pairSeconds(pair: OverlappedPair, stages: readonly number[], cost: StageActions["cost"]): number {
  const forward = cost(stages[pair.forwardChunk]!, "F", "plain");
  const backward = cost(stages[pair.backwardChunk]!, "BW", "plain");
  const sumSec = pair.forwardSec + pair.backwardSec;
  const computeSec =
    forward.shares[0]! + backward.shares[0]! + forward.shares[HOST_SHARE]! + backward.shares[HOST_SHARE]!;
  let communicationSec = 0;
  for (let k = 1; k < SHARES.length; k++)
    if (k !== HOST_SHARE) communicationSec += forward.busy[k]! + backward.busy[k]!;
  return Math.min(sumSec, Math.max(computeSec, communicationSec));
}

/** The end of a class's step, by pipeline rank. */
export interface PipelineEnd {
  readonly tails: readonly RankTail[];
  readonly replicaSec: readonly number[];
  readonly flushes: readonly { readonly readySec: number; readonly spillSec: number }[];
  readonly totals: readonly RankTotals[];
  /** The rank that works most. */
  readonly paceRank: number;
}

export function endPipeline(run: PipelineRun, cluster: ClusterSpec): PipelineEnd {
  const { program, costs, variants, timeline, memory } = run;
  const { schedule } = program;
  const ranks = Array.from({ length: schedule.numRanks }, (_, rank) => rank);
  let paceRank = 0;
  for (const rank of ranks) if (timeline.busySec[rank]! > timeline.busySec[paceRank]!) paceRank = rank;
  return {
    tails: ranks.map((rank) => costs[rank]!.tails.tail(rank)),
    replicaSec: ranks.map((rank) =>
      replicaSyncSeconds(program, cluster, rank, memory.gradientBytesOf, run.at.replicas[0]!),
    ),
    flushes: ranks.map((rank) => {
      const { cost, onceDiffers } = costs[rank]!.actions;
      return flushOf(timeline, variants.once, rank, cost, onceDiffers);
    }),
    totals: ranks.map((rank) => rankTotals({ schedule, variants, actions: costs[rank]!.actions, rank })),
    paceRank,
  };
}
