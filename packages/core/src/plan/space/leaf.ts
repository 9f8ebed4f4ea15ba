// A leaf of the space as the strategy and software that it stands for.

import type { Recompute, Software, Strategy } from "../../parallel/strategy.ts";
import type { Body, Core, Ending, Keep, Leaf, Manner, Placement, PlanJob } from "./types.ts";

export interface LeafJob {
  readonly strategy: Strategy;
  readonly software: Software;
}

export function softwareOf(job: PlanJob, manner: Manner, body: Body | null, ending: Ending | null): Software {
  return {
    ...job.software,
    tpOverlap: manner.tpOverlap,
    overlapCp: manner.overlapCp,
    overlapMoeExchange: manner.overlapMoeExchange,
    ...(body === null ? {} : { overlapP2p: body.overlapP2p }),
    ...(ending === null
      ? {}
      : { overlapGradReduce: ending.overlapGradReduce, overlapParamGather: ending.overlapParamGather }),
  };
}

export function recomputeOf(keep: Keep, body: Body): Recompute {
  return keep.partial ? { kind: "full", everyLayers: 1, numLayers: body.numRecomputed } : keep.recompute;
}

export interface LeafParts {
  readonly core: Core;
  readonly placement: Placement;
  readonly manner: Manner;
  readonly keep: Keep;
  readonly body: Body;
  readonly ending: Ending;
}

export function strategyOf(job: PlanJob, { core, placement, manner, keep, body, ending }: LeafParts): Strategy {
  const { vocabOverStages: _, offloadLayers: __, ...base } = job.base;
  return {
    ...base,
    tp: core.tp,
    cp: core.cp,
    ulysses: core.ulysses,
    ep: core.ep,
    etp: core.etp,
    microBatch: core.microBatch,
    precision: core.precision,
    pp: placement.pp,
    dp: placement.dp,
    order: placement.order,
    sequenceParallel: manner.sequenceParallel,
    schedule: body.schedule,
    numChunks: body.numChunks,
    sharding: ending.sharding,
    shardGroup: ending.shardGroup,
    reshardAfterForward: ending.reshardAfterForward,
    recompute: recomputeOf(keep, body),
    offloadOptimizer: ending.offloadOptimizer,
    offloadActivations: keep.offloadActivations,
    stageLayers: null,
    balanceEmbedding: body.balanceEmbedding,
    ...(body.vocabOverStages ? { vocabOverStages: true } : {}),
  };
}

export function leafJob(job: PlanJob, leaf: Leaf): LeafJob {
  return { strategy: strategyOf(job, leaf), software: softwareOf(job, leaf.manner, leaf.body, leaf.ending) };
}
