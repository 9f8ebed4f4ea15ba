// Lowering: model + strategy + workload + facts of the software -> program. One block template per distinct layer, so a model of
// hundreds of layers on any number of ranks stays a small object.

import type { ModelSpec } from "../../model/types.ts";
import { type Finding, InputError } from "../../units/errors.ts";
import { checkMesh, type Mesh } from "../mesh.ts";
import type { GatherPolicy, Program, ReducePolicy } from "../program.ts";
import { buildSchedule, type Schedule } from "../schedules/index.ts";
import type { Software, Strategy, Workload } from "../strategy.ts";
import { checkLowering, kvReplicasOf } from "./check.ts";
import { makeContext } from "./context.ts";
import { lowerStages, type SharedBlocks } from "./stageBlocks.ts";
import { embeddingSync, gradNormTail } from "./stepBlocks.ts";
import { placeTable } from "./tablePlacement.ts";

export { checkLowering } from "./check.ts";
export { offloadActivations } from "./offload.ts";
export { SharedBlocks } from "./stageBlocks.ts";
export { dealLayers } from "./stages.ts";

export interface LowerOptions {
  /** Relative durations of a chunk's actions, for schedules that adapt to them. */
  readonly costs?: { readonly F: number; readonly B: number; readonly W: number; readonly send: number };
  /** Most micro-batch stashes a rank may hold, for memory-limited schedules. */
  readonly stashLimit?: number;
  /** The strategy's schedule where the caller has built it already (a search meets one under many strategies). */
  readonly schedule?: Schedule;
  /** Blocks of lowerings that differ in recomputation and activations on the host alone. */
  readonly shared?: SharedBlocks;
}

export function meshOf(strategy: Strategy): Mesh {
  const { tp, cp, ulysses, dp, pp, ep, etp, order } = strategy;
  return { tp, cp, ulysses, dp, pp, ep, etp, shard: strategy.sharding === "none" ? 1 : strategy.shardGroup, order };
}

export function lowerTraining(
  model: ModelSpec,
  strategy: Strategy,
  workload: Workload,
  software: Software,
  options: LowerOptions = {},
): Program {
  const findings: readonly Finding[] = checkLowering(model, strategy, workload, software);
  if (findings.length > 0) throw new InputError(findings);
  const kvReplicas = Math.max(1, ...kvReplicasOf(model, strategy.tp));
  const sizes: Mesh = { ...meshOf(strategy), ...(kvReplicas === 1 ? {} : { kvReplicas }) };
  checkMesh(sizes);
  const context = makeContext(model, sizes, strategy, workload, software);
  const schedule =
    options.schedule ??
    buildSchedule(strategy.schedule, {
      numRanks: sizes.pp,
      numMicroBatches: context.microBatchesPerStep,
      numChunks: strategy.numChunks,
      ...(options.costs === undefined ? {} : { costs: options.costs }),
      ...(options.stashLimit === undefined ? {} : { stashLimit: options.stashLimit }),
    });
  const table = placeTable(context, schedule);
  const mesh: Mesh = table.ranks.length > 1 ? { ...sizes, tableRanks: table.ranks } : sizes;
  const placed = { ...context, mesh, replicas: schedule.replicas, tableCopies: table.ranks.length };
  const { blocks, stages } = lowerStages(placed, schedule, table, options.shared);
  return {
    mesh,
    blocks,
    stages,
    schedule,
    gatherPolicy: gatherPolicy(strategy, mesh),
    reducePolicy: reducePolicy(strategy, mesh),
    overlapReduce: software.overlapGradReduce,
    overlapGather: software.overlapParamGather,
    scatteredSends: software.scattersStageSends === true && mesh.tp > 1 && !strategy.sequenceParallel,
    prefetchBlocks: software.prefetchBlocks,
    layout: context.layout,
    microBatchesPerStep: context.microBatchesPerStep,
    ...(strategy.replicaShares === undefined ? {} : { replicaShares: strategy.replicaShares }),
    globalTokens: workload.globalBatch * workload.seqLen,
    tail: gradNormTail(mesh),
    embeddingSync: table.ranks.length > 1 ? embeddingSync(placed) : null,
  };
}

function gatherPolicy(strategy: Strategy, mesh: Mesh): GatherPolicy {
  if (strategy.sharding === "none" || mesh.shard === 1) return "never";
  if (strategy.sharding !== "zero3") return "afterUpdate";
  return strategy.reshardAfterForward ? "perPhase" : "perForward";
}

function reducePolicy(strategy: Strategy, mesh: Mesh): ReducePolicy {
  if (mesh.shard === 1 || (strategy.sharding !== "zero2" && strategy.sharding !== "zero3")) return "lastMicroBatch";
  return strategy.reduceGradients === "run" ? "everyRun" : "everyMicroBatch";
}
