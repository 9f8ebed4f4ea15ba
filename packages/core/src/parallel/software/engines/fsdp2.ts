// Plain PyTorch: a script of torch.distributed.fsdp.fully_shard over a decoder that it defines itself.
//
// Source: torch.distributed.fsdp.fully_shard (reshard_after_forward, MixedPrecisionPolicy, set_reshard_after_backward); pipelines, experts and
// context parallelism are what torchtitan is for.

import { commonRules, optimizersAre, ordersAre, precisionsAre, schedulesAre, shardGroupsShard } from "./commonRules.ts";
import { type EngineLimits, shardsNothing } from "./contract.ts";

const title = "The FSDP2 script";

export const fsdp2Limits: EngineLimits = {
  title: "PyTorch FSDP2",
  target: "PyTorch 2.9",
  models: [
    {
      breaks: (model) =>
        model.encoder !== undefined ||
        model.position === "alibi" ||
        model.position === "relative" ||
        model.mtpLayers > 0 ||
        (model.embeddingDim ?? model.hidden) !== model.hidden ||
        model.layerKinds.some(
          ({ mixer, ffn, parallelResidual, normsPerBranch, normAffine }) =>
            mixer.kind !== "attention" ||
            mixer.qkNorm === "full" ||
            mixer.valueIsKey === true ||
            mixer.kvShared === true ||
            mixer.outputGate === true ||
            mixer.headDim !== mixer.vHeadDim ||
            !mixer.causal ||
            mixer.window > 0 ||
            ffn.kind !== "dense" ||
            parallelResidual ||
            normsPerBranch !== 1 ||
            normAffine === false,
        ),
      say: (model) =>
        `The FSDP2 script defines decoders of attention and dense feed-forward layers, which "${model.name}" is not`,
    },
  ],
  rules: [
    ...commonRules(title),
    shardGroupsShard(title),
    schedulesAre(title, ["1f1b"]),
    ordersAre(title, [["tp", "cp", "dp", "pp"]]),
    precisionsAre(title, ["fp32", "bf16"]),
    optimizersAre(title, ["adamw", "sgd"]),
    {
      breaks: ({ strategy: { pp, ep, cp, tp } }) => pp * ep * cp * tp > 1,
      say: () => "The FSDP2 script splits data only: use tp=1, cp=1, pp=1 and ep=1, or --engine torchtitan",
    },
    {
      breaks: ({ strategy }) =>
        !shardsNothing(strategy) && strategy.sharding !== "zero2" && strategy.sharding !== "zero3",
      say: () => "FSDP2 shards parameters: use zero3, or zero2 to keep them gathered over the micro-batches of a step",
    },
    {
      breaks: ({ strategy: { recompute } }) =>
        recompute.kind === "selective" ||
        recompute.kind === "ops" ||
        (recompute.kind === "full" && recompute.numLayers !== "all"),
      say: () => "The FSDP2 script checkpoints groups of whole layers: use recompute full with num_layers all, or none",
    },
    {
      breaks: ({ strategy }) => strategy.offloadOptimizer,
      say: () =>
        "FSDP2 offloads parameters, gradients and optimizer state together (CPUOffloadPolicy): offload_optimizer alone is not that",
    },
    {
      breaks: ({ strategy }) => strategy.offloadLayers !== undefined,
      say: () => "The FSDP2 script offloads the activations of all layers or none: offload_layers cannot be set",
    },
  ],
};
