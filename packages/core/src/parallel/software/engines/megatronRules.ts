// Rules of Megatron-Core, which Megatron-LM's command line and Megatron-Bridge's recipes both end in.
//
// Source: Megatron-LM megatron/training/arguments.py (validate_args) and core/transformer/transformer_config.py (__post_init__),
// core/optimizer/optimizer_config.py, core/distributed/fsdp. Uneven stages are no limit: --pipeline-model-parallel-layout writes any split.

import { commonRules, optimizersAre, ordersAre, schedulesAre, sequenceInPieces } from "./commonRules.ts";
import { type EngineRule, expertReplicas, shardCopies, shardsNothing } from "./contract.ts";

/** Parts of a layer that --recompute-modules names, by ours. */
export const megatronModules = {
  attention: "core_attn",
  norm: "layernorm",
  activation: "moe_act",
  mlaUp: "mla_up_proj",
  moe: "moe",
  ffn: "mlp",
} as const;

/** What of a layer a module needs to be there. */
const moduleNeeds = {
  attention: () => true,
  norm: () => true,
  activation: (facts: { hasExperts: boolean }) => facts.hasExperts,
  mlaUp: (facts: { hasMla: boolean }) => facts.hasMla,
  moe: (facts: { hasExperts: boolean }) => facts.hasExperts,
  ffn: (facts: { hasDenseFfn: boolean }) => facts.hasDenseFfn,
} as const;

export function megatronRules(title: string): readonly EngineRule[] {
  return [
    ...commonRules(title),
    schedulesAre(title, ["1f1b", "interleaved"]),
    ordersAre(title, [
      ["tp", "cp", "dp", "pp"],
      ["tp", "cp", "pp", "dp"],
    ]),
    optimizersAre(title, ["adamw", "sgd", "muon"]),
    sequenceInPieces(title),
    ...shardingRules(title),
    ...recomputeRules(title),
    ...offloadRules(title),
    ...expertRules(title),
    {
      breaks: ({ strategy, software }) =>
        software.tpOverlap === "userBuffers" && strategy.tp > 1 && !strategy.sequenceParallel,
      say: () => `${title} overlaps tensor parallel collectives (tp_overlap userBuffers) only with sequence_parallel`,
    },
    {
      breaks: ({ strategy, software }) => strategy.pp === 2 && strategy.numChunks > 1 && !software.overlapP2p,
      say: () => `${title} interleaves two pipeline ranks only with overlap_p2p`,
    },
    {
      breaks: ({ software }) => software.crossEntropy === "fused",
      say: () => `${title} holds the logits whole: use cross_entropy vocabParallel or fp32Copy`,
    },
  ];
}

function shardingRules(title: string): readonly EngineRule[] {
  return [
    {
      breaks: ({ strategy }) =>
        strategy.pp > 1 && (strategy.sharding === "zero2" || strategy.sharding === "zero3") && !shardsNothing(strategy),
      say: ({ strategy }) =>
        `${title} shards gradients or parameters with Megatron-FSDP, which documents tp, cp and ep beside it but no pipeline: use zero1, not ${strategy.sharding}, at pp=${strategy.pp}`,
    },
    {
      breaks: ({ strategy }) =>
        strategy.sharding === "zero3" && !strategy.reshardAfterForward && !shardsNothing(strategy),
      say: () => `Megatron-FSDP always drops gathered parameters after forward: reshard_after_forward cannot be false`,
    },
    {
      breaks: ({ strategy, facts }) => {
        if (strategy.sharding === "none" || !facts.hasExperts) return false;
        const copies = shardCopies(strategy);
        return copies > 1 && expertReplicas(strategy) % copies !== 0;
      },
      say: ({ strategy }) =>
        `${title} cuts the ${expertReplicas(strategy)} copies of an expert into the same ${shardCopies(strategy)} optimizer instances as the dense layers: the number must divide`,
    },
    {
      breaks: ({ strategy }) => strategy.optimizer === "muon" && !shardsNothing(strategy),
      say: ({ strategy }) => `${title} runs muon without sharding, not with ${strategy.sharding}`,
    },
    {
      breaks: ({ strategy }) =>
        strategy.optimizer === "sgd" && strategy.sharding === "zero1" && !shardsNothing(strategy),
      say: () => `${title}'s distributed optimizer (zero1) is built on Adam: sgd needs sharding none`,
    },
    {
      breaks: ({ strategy }) => strategy.precision === "fp16" && strategy.ep > 1,
      say: () => `${title} refuses expert parallelism in fp16`,
    },
  ];
}

function recomputeRules(title: string): readonly EngineRule[] {
  return [
    {
      breaks: ({ strategy }) => strategy.recompute.kind === "ops",
      say: () => `${title} recomputes named modules or whole layers, not single ops (recompute ops)`,
    },
    {
      breaks: ({ strategy: { recompute } }) =>
        recompute.kind === "full" && recompute.everyLayers > 1 && recompute.numLayers !== "all",
      say: () =>
        `${title} recomputes some layers one by one (block) or all in groups (uniform): every_layers and num_layers exclude each other`,
    },
    {
      breaks: ({ strategy: { recompute }, facts }) => {
        if (recompute.kind !== "selective") return false;
        for (const module of recompute.modules) if (!moduleNeeds[module](facts)) return true;
        return false;
      },
      say: ({ strategy: { recompute }, facts, model }) => {
        const modules = recompute.kind === "selective" ? recompute.modules : [];
        const names = modules.filter((module) => !moduleNeeds[module](facts));
        return `${title} recomputes ${names.map((name) => `${name} (${megatronModules[name]})`).join(", ")} only where the model has such a part, which "${model.name}" has not`;
      },
    },
    {
      breaks: ({ strategy: { recompute, precision }, facts, software }) =>
        recompute.kind === "selective" &&
        recompute.modules.includes("activation") &&
        facts.hasExperts &&
        (!software.groupedGemm || precision === "fp16" || precision === "fp32"),
      say: () => `${title} recomputes activation (moe_act) in grouped experts only: use grouped_gemm, in bf16 or 8 bit`,
    },
    {
      breaks: ({ strategy, software }) => strategy.recompute.kind === "full" && software.cudaGraphs !== "none",
      say: () => `${title} captures no graph of layers under full recompute: use cuda_graphs none`,
    },
  ];
}

function offloadRules(title: string): readonly EngineRule[] {
  return [
    {
      breaks: ({ strategy }) => strategy.offloadActivations && (strategy.pp > 1 || strategy.recompute.kind !== "none"),
      say: () => `${title} offloads activations only at pp=1 and without recompute`,
    },
    {
      breaks: ({ strategy, facts }) =>
        strategy.offloadActivations && (strategy.offloadLayers ?? facts.numLayers) >= facts.numLayers,
      say: ({ facts }) =>
        `${title} offloads the activations of at most all layers but one: set offload_layers to ${facts.numLayers - 1} or fewer`,
    },
    {
      breaks: ({ strategy }) =>
        strategy.offloadOptimizer && (strategy.sharding !== "zero1" || strategy.optimizer !== "adamw"),
      say: () => `${title} offloads the optimizer state of adamw under zero1 only`,
    },
  ];
}

function expertRules(title: string): readonly EngineRule[] {
  return [
    {
      breaks: ({ strategy, facts }) =>
        facts.hasExperts && strategy.tp > 1 && strategy.ep > 1 && !strategy.sequenceParallel,
      say: () => `${title} needs sequence_parallel for experts under tp and ep`,
    },
    {
      breaks: ({ strategy, facts }) => facts.expertBias && strategy.etp > 1,
      say: () => `${title} splits experts over etp only without biases`,
    },
    {
      breaks: ({ strategy, facts, software }) =>
        facts.hasExperts && strategy.ep > 1 && software.moeExchange === "trtllm",
      say: () => `${title} exchanges experts by nccl, deepep or hybridep, not trtllm`,
    },
    {
      breaks: ({ strategy, software }) =>
        software.overlapMoeExchange &&
        strategy.ep > 1 &&
        (strategy.recompute.kind === "full" || (strategy.pp > 1 && strategy.numChunks === 1)),
      say: () =>
        `${title} overlaps the expert exchange (overlap_moe_exchange) without full recompute, and under a pipeline only with chunks`,
    },
  ];
}
