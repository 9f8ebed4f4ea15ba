// A strategy as Megatron-Core's options. Megatron-LM takes them as flags, Megatron-Bridge as overrides of the same meaning (bridgeKeys.ts).

import { sameCounts } from "../../parallel/lower/stages.ts";
import { megatronModules } from "../../parallel/software/engines/megatronRules.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { canonicalStrategy } from "./canonical.ts";
import { writeLayout } from "./megatronLayout.ts";
import { type Argument, isHybrid, layerLetter } from "./megatronModel.ts";
import { stageCounts } from "./stageSplit.ts";

export interface ArgumentGroup {
  readonly title: string;
  readonly args: readonly Argument[];
}

/** Only what differs from the engine's default is written, except sizes, which are always stated. */
export function strategyGroups(spec: ResolvedSpec): readonly ArgumentGroup[] {
  return [
    { title: "Parallelism", args: meshArguments(spec) },
    { title: "Pipeline stages", args: pipelineArguments(spec) },
    { title: "Sharding of optimizer, gradients and parameters", args: shardingArguments(spec) },
    { title: "Batch", args: batchArguments(spec) },
    { title: "Recompute and offload", args: [...recomputeArguments(spec), ...offloadArguments(spec)] },
    { title: "Number formats and optimizer", args: formatArguments(spec) },
  ].filter(({ args }) => args.length > 0);
}

export function hasExperts({ model }: ResolvedSpec): boolean {
  return model.layerKinds.some(({ ffn }) => ffn.kind === "moe");
}

/** State of one optimizer, gradient or parameter is cut over more than one rank. */
export function isSharded({ strategy }: ResolvedSpec): boolean {
  return strategy.sharding !== "none" && strategy.dp * strategy.cp > 1;
}

/** zero2 and zero3 run in Megatron-FSDP, which asks for other surroundings than the distributed optimizer. */
export function usesFsdp(spec: ResolvedSpec): boolean {
  return isSharded(spec) && spec.strategy.sharding !== "zero1";
}

function meshArguments(spec: ResolvedSpec): readonly Argument[] {
  const { strategy } = spec;
  const { tp, pp, cp, ulysses, ep, etp } = strategy;
  const args: Argument[] = [
    ["tensor-model-parallel-size", String(tp)],
    ["pipeline-model-parallel-size", String(pp)],
    ["context-parallel-size", String(cp)],
  ];
  if (hasExperts(spec))
    args.push(["expert-model-parallel-size", String(ep)], ["expert-tensor-parallel-size", String(etp)]);
  if (tp > 1 && strategy.sequenceParallel) args.push(["sequence-parallel"]);
  if (cp > 1) {
    if (ulysses === cp) args.push(["cp-comm-type", "a2a"]);
    else if (ulysses > 1)
      args.push(
        ["cp-comm-type", "a2a+p2p"],
        ["hierarchical-context-parallel-sizes", String(ulysses), String(cp / ulysses)],
      );
    else args.push(["cp-comm-type", "p2p"]);
  }
  if (canonicalStrategy(spec).order.join("-") === "tp-cp-pp-dp") args.push(["use-tp-pp-dp-mapping"]);
  if (strategy.capacityFactor !== null) args.push(["moe-expert-capacity-factor", String(strategy.capacityFactor)]);
  return args;
}

function pipelineArguments(spec: ResolvedSpec): readonly Argument[] {
  const { strategy, model } = spec;
  const { pp, numChunks, balanceEmbedding, stageLayers } = strategy;
  const numStages = pp * numChunks;
  if (isHybrid(model)) return [["hybrid-layer-pattern", hybridPattern(spec)]];
  if (numStages === 1) return [];
  const counts = stageCounts(strategy, model.layers.length);
  const chunks: readonly Argument[] =
    numChunks > 1 ? [["num-virtual-stages-per-pipeline-rank", String(numChunks)]] : [];
  const even = model.layers.length / numStages;
  if (Number.isInteger(even) && sameCounts(counts, new Array<number>(numStages).fill(even))) return chunks;
  if (balanceEmbedding && stageLayers === null && (model.layers.length + 2) % numStages === 0)
    return [["account-for-embedding-in-pipeline-split"], ["account-for-loss-in-pipeline-split"], ...chunks];
  return [["pipeline-model-parallel-layout", writeLayout(counts, model.mtpLayers)]];
}

/** Layers by letter, stages between bars. */
function hybridPattern({ strategy, model }: ResolvedSpec): string {
  const letters = model.layers.map((kind) => layerLetter(model.layerKinds[kind]!)).join("");
  if (strategy.pp * strategy.numChunks === 1) return letters;
  const parts: string[] = [];
  let at = 0;
  for (const count of stageCounts(strategy, model.layers.length)) {
    parts.push(letters.slice(at, at + count));
    at += count;
  }
  return parts.join("|");
}

function shardingArguments(spec: ResolvedSpec): readonly Argument[] {
  if (!isSharded(spec)) return [];
  const { strategy } = spec;
  const args: Argument[] = [["use-distributed-optimizer"]];
  if (usesFsdp(spec))
    args.push(
      ["use-megatron-fsdp"],
      ["data-parallel-sharding-strategy", strategy.sharding === "zero2" ? "optim_grads" : "optim_grads_params"],
      ["ckpt-format", "fsdp_dtensor"],
      ["no-gradient-accumulation-fusion"],
    );
  const copies = (strategy.dp * strategy.cp) / strategy.shardGroup;
  if (copies > 1) args.push(["num-distributed-optimizer-instances", String(copies)]);
  return args;
}

function batchArguments({ strategy, workload }: ResolvedSpec): readonly Argument[] {
  return [
    ["seq-length", String(workload.seqLen)],
    ["micro-batch-size", String(strategy.microBatch)],
    ["global-batch-size", String(workload.globalBatch)],
  ];
}

function recomputeArguments({ strategy: { recompute } }: ResolvedSpec): readonly Argument[] {
  switch (recompute.kind) {
    case "selective":
      return [
        ["recompute-granularity", "selective"],
        ["recompute-modules", ...recompute.modules.map((module) => megatronModules[module])],
      ];
    case "full":
      return [
        ["recompute-granularity", "full"],
        ["recompute-method", recompute.numLayers === "all" ? "uniform" : "block"],
        ["recompute-num-layers", String(recompute.numLayers === "all" ? recompute.everyLayers : recompute.numLayers)],
      ];
    default:
      return [];
  }
}

function offloadArguments({ strategy }: ResolvedSpec): readonly Argument[] {
  const args: Argument[] = [];
  if (strategy.offloadActivations) args.push(["cpu-offloading-num-layers", String(strategy.offloadLayers)]);
  if (strategy.offloadOptimizer) args.push(["optimizer-cpu-offload"], ["use-precision-aware-optimizer"]);
  return args;
}

function formatArguments({ strategy, software }: ResolvedSpec): readonly Argument[] {
  const args: Argument[] = [];
  const { precision } = strategy;
  if (precision === "fp16") args.push(["fp16"]);
  else if (precision !== "fp32") args.push(["bf16"]);
  switch (precision) {
    case "fp8":
      args.push(["fp8-format", "hybrid"], ["fp8-recipe", software.fp8Scaling === "delayed" ? "delayed" : "tensorwise"]);
      break;
    case "fp8_block":
      args.push(["fp8-format", "e4m3"], ["fp8-recipe", "blockwise"]);
      break;
    case "mxfp8":
      args.push(["fp8-format", "e4m3"], ["fp8-recipe", "mxfp8"]);
      break;
    case "nvfp4":
      args.push(["fp4-format", "e2m1"], ["fp4-recipe", "nvfp4"]);
      break;
  }
  args.push(["optimizer", strategy.optimizer === "adamw" ? "adam" : strategy.optimizer]);
  // Its state is saved in the plain format only.
  if (strategy.optimizer === "muon") args.push(["ckpt-format", "torch"]);
  return args;
}
