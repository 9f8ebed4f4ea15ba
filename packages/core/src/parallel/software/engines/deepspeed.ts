// DeepSpeed: ZeRO 0-3, Ulysses, AutoTP and AutoEP for a Hugging Face model, or PipelineModule for a pipeline.
//
// Source: DeepSpeed 0.19.6 runtime/config.py, runtime/zero/config.py, runtime/pipe/{engine,schedule}.py (TrainSchedule is 1F1B); the AutoTP
// training tutorial (ZeRO stage 0, 1 or 2).

import { commonRules, noEncoder, optimizersAre, ordersAre, precisionsAre, schedulesAre } from "./commonRules.ts";
import { type EngineLimits, shardCopies, shardsNothing } from "./contract.ts";

const title = "DeepSpeed";
const stageOf = { none: 0, zero1: 1, zero2: 2, zero3: 3 } as const;

export const deepspeedLimits: EngineLimits = {
  title,
  target: "DeepSpeed 0.19.6 (edaa722, 2026-08-22)",
  models: [noEncoder(title)],
  rules: [
    ...commonRules(title),
    schedulesAre(title, ["1f1b"]),
    ordersAre(title, [["tp", "cp", "dp", "pp"]]),
    precisionsAre(title, ["fp32", "bf16", "fp16"]),
    optimizersAre(title, ["adamw", "sgd", "muon"]),
    {
      breaks: ({ strategy }) => strategy.pp > 1 && stageOf[strategy.sharding] > 1,
      say: ({ strategy }) =>
        `DeepSpeed's pipeline needs ZeRO stage 0 or 1: ${strategy.sharding} does not go with pp=${strategy.pp}`,
    },
    {
      breaks: ({ strategy: { pp, tp, cp, ep } }) => pp > 1 && tp * cp * ep > 1,
      say: () => "DeepSpeed's pipeline is exported with data parallelism only: use tp=1, cp=1 and ep=1, or pp=1",
    },
    {
      breaks: ({ strategy }) => strategy.cp !== strategy.ulysses,
      say: ({ strategy }) =>
        `DeepSpeed splits sequences by heads (Ulysses): use ulysses=${strategy.cp} for cp=${strategy.cp}`,
    },
    {
      breaks: ({ strategy }) => strategy.tp > 1 && (strategy.sharding === "zero3" || strategy.cp > 1),
      say: () =>
        "DeepSpeed's AutoTP goes with ZeRO stages 0 to 2 and without sequence parallel groups: tp > 1 needs zero2 or less and cp=1",
    },
    {
      breaks: ({ strategy }) => strategy.tp > 1 && strategy.sequenceParallel,
      say: () => "DeepSpeed's AutoTP keeps norms and residuals whole: use sequence_parallel=false",
    },
    {
      breaks: ({ strategy }) =>
        strategy.sharding !== "none" && strategy.sharding !== "zero3" && shardCopies(strategy) > 1,
      say: ({ strategy }) =>
        `DeepSpeed shards in groups (MiCS) under zero3 only: use shard_group=${strategy.dp * strategy.cp}`,
    },
    {
      breaks: ({ strategy }) =>
        strategy.sharding === "zero3" && !strategy.reshardAfterForward && !shardsNothing(strategy),
      say: () => "DeepSpeed's ZeRO-3 drops gathered parameters after use: reshard_after_forward cannot be false",
    },
    {
      breaks: ({ strategy, facts }) => facts.hasExperts && strategy.ep > 1 && strategy.sharding === "zero3",
      say: () => "DeepSpeed's expert parallelism is exported with ZeRO stage 2 or less, not zero3",
    },
    {
      breaks: ({ strategy, facts }) => facts.hasExperts && strategy.etp !== 1,
      say: () => "DeepSpeed keeps experts whole: use etp=1",
    },
    {
      breaks: ({ strategy }) => strategy.recompute.kind === "selective" || strategy.recompute.kind === "ops",
      say: () => "DeepSpeed recomputes whole layers: use recompute full or none",
    },
    {
      breaks: ({ strategy: { recompute, pp } }) =>
        recompute.kind === "full" && (recompute.numLayers !== "all" || (recompute.everyLayers > 1 && pp === 1)),
      say: ({ strategy }) =>
        strategy.pp === 1
          ? "Gradient checkpointing of a Hugging Face model keeps the input of every layer: use every_layers=1 and num_layers=all"
          : "DeepSpeed's pipeline recomputes every layer or none: num_layers must be all",
    },
    {
      breaks: ({ strategy }) =>
        strategy.offloadActivations && (strategy.recompute.kind !== "full" || strategy.offloadLayers !== undefined),
      say: () =>
        "DeepSpeed offloads the inputs of recomputed layers (cpu_checkpointing): offload_activations needs recompute full, of all layers",
    },
    {
      breaks: ({ strategy }) => strategy.offloadOptimizer && (strategy.sharding === "none" || strategy.pp > 1),
      say: () => "DeepSpeed offloads the optimizer under ZeRO 1 to 3, without a pipeline",
    },
    {
      breaks: ({ strategy }) => strategy.stageLayers !== null || (strategy.balanceEmbedding && strategy.pp > 1),
      say: () => "DeepSpeed partitions a pipeline by its own methods: stage_layers and balance_embedding cannot be set",
    },
    {
      breaks: ({ strategy, facts }) => strategy.pp > 1 && facts.numLayers % strategy.pp !== 0,
      say: ({ strategy, facts }) =>
        `DeepSpeed's pipeline is exported with equal stages: pp=${strategy.pp} does not divide ${facts.numLayers} layers`,
    },
    {
      breaks: ({ strategy }) => strategy.capacityFactor !== null,
      say: () => "DeepSpeed routes a Hugging Face model's tokens as the model does: capacity_factor cannot be set",
    },
  ],
};
