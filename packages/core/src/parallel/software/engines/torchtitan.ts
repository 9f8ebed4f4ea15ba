// torchtitan: FSDP2, tensor, context, pipeline and expert parallelism of PyTorch.
//
// Source: torchtitan b5bcd76 (2026-08-21) torchtitan/distributed/parallel_dims.py, pipeline_parallel.py, models/*/parallelize.py, and v0.2.2's
// config/job_config.py; schedules of torch.distributed.pipelining.

import { dealLayers } from "../../lower/stages.ts";
import {
  commonRules,
  noEncoder,
  optimizersAre,
  ordersAre,
  precisionsAre,
  schedulesAre,
  sequenceInPieces,
  shardGroupsShard,
} from "./commonRules.ts";
import { type EngineLimits, shardsNothing } from "./contract.ts";
import { titanSplit } from "./torchtitanSplit.ts";

const title = "torchtitan";

/** torch.distributed.pipelining's schedules, by ours. */
export const torchSchedules: Readonly<Record<string, string>> = {
  "1f1b": "1F1B",
  interleaved: "Interleaved1F1B",
  gpipe: "GPipe",
  "breadth-first": "LoopedBFS",
  "zb-v": "ZBVZeroBubble",
  "dualpipe-v": "DualPipeV",
};

export const torchtitanLimits: EngineLimits = {
  title,
  target: "torchtitan b5bcd76 (2026-08-21)",
  models: [
    noEncoder(title),
    {
      breaks: (_, facts) => facts.hasStateSpace,
      say: (model) => `torchtitan has no state-space layers, which "${model.name}" has`,
    },
  ],
  rules: [
    ...commonRules(title),
    shardGroupsShard(title),
    schedulesAre(title, Object.keys(torchSchedules)),
    ordersAre(title, [["tp", "cp", "dp", "pp"]]),
    precisionsAre(title, ["fp32", "bf16", "fp8"]),
    optimizersAre(title, ["adamw"]),
    sequenceInPieces(title),
    {
      breaks: ({ strategy }) => strategy.schedule === "breadth-first" && strategy.numChunks < 2,
      say: () => "torchtitan loops breadth-first over at least 2 chunks of a rank: use chunks=2 or more, or gpipe",
    },
    {
      breaks: ({ strategy: { pp, numChunks, stageLayers, balanceEmbedding }, facts: { numLayers } }) => {
        if (pp === 1) return false;
        const counts = stageLayers ?? dealLayers(numLayers, pp * numChunks, balanceEmbedding);
        return titanSplit(counts, { numLayers, pp, numChunks }) === null;
      },
      say: ({ strategy: { pp, numChunks, stageLayers, balanceEmbedding }, facts: { numLayers } }) =>
        `torchtitan deals layers evenly from the first stage on, with lighter ends: it cannot give the stages ${(stageLayers ?? dealLayers(numLayers, pp * numChunks, balanceEmbedding)).join(", ")} layers`,
    },
    {
      breaks: ({ strategy }) => strategy.ulysses > 1,
      say: () => "torchtitan's context parallelism is a ring: use ulysses=1",
    },
    {
      breaks: ({ strategy }) => strategy.tp > 1 && !strategy.sequenceParallel,
      say: () => "torchtitan's tensor parallelism splits norms and residuals along the sequence: use sequence_parallel",
    },
    {
      breaks: ({ strategy }) => !shardsNothing(strategy) && strategy.sharding !== "zero3",
      say: ({ strategy }) =>
        `torchtitan shards by FSDP2: use zero3 (with reshard_after_forward=false to keep gathered parameters), not ${strategy.sharding}`,
    },
    {
      breaks: ({ strategy }) =>
        strategy.sharding === "none" &&
        strategy.dp * strategy.cp > 1 &&
        strategy.tp * strategy.cp * strategy.pp * strategy.ep > 1,
      say: () => "torchtitan replicates (DDP) without other parallelism only: use sharding zero3",
    },
    {
      breaks: ({ strategy }) => !shardsNothing(strategy) && strategy.shardGroup % strategy.cp !== 0,
      say: ({ strategy }) =>
        `torchtitan shards over whole context parallel groups: shard_group=${strategy.shardGroup} must be a multiple of cp=${strategy.cp}`,
    },
    {
      breaks: ({ strategy, facts }) =>
        facts.hasExperts && strategy.ep > 1 && (strategy.shardGroup * strategy.tp) % strategy.ep !== 0,
      say: ({ strategy }) =>
        `torchtitan takes experts' ranks from shard x cp x tp = ${strategy.shardGroup * strategy.tp}: ep=${strategy.ep} must divide it`,
    },
    {
      breaks: ({ strategy, facts }) => facts.hasExperts && strategy.etp !== (strategy.ep > 1 ? 1 : strategy.tp),
      say: ({ strategy }) =>
        strategy.ep > 1
          ? "torchtitan keeps experts whole under expert parallelism: use etp=1"
          : `torchtitan splits experts like other layers without expert parallelism: use etp=${strategy.tp}`,
    },
    {
      breaks: ({ strategy: { recompute } }) =>
        recompute.kind === "selective" ||
        (recompute.kind === "full" && (recompute.everyLayers > 1 || recompute.numLayers !== "all")),
      say: () =>
        "torchtitan recomputes all layers one by one (full) or by its per-op policy: use recompute full, ops or none",
    },
    {
      breaks: ({ strategy }) => strategy.offloadOptimizer || strategy.offloadActivations,
      say: () =>
        "torchtitan offloads parameters, gradients and optimizer state together (enable_cpu_offload): neither offload_optimizer nor offload_activations is that",
    },
    {
      breaks: ({ strategy, software }) => strategy.precision === "fp8" && software.fp8Scaling === "delayed",
      say: () => "torchtitan scales fp8 by the tensor at hand: use fp8_scaling current",
    },
    {
      breaks: ({ strategy }) => strategy.capacityFactor !== null,
      say: () => "torchtitan routes without a capacity: capacity_factor cannot be set",
    },
  ],
};
