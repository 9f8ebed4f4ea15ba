// The software of a row: the preset of its framework and date, changed by every fact the row states.

import { derive, hostSec, type SoftwareFacts, softwareForRow, softwarePreset } from "../parallel/software/index.ts";
import type { Software, Strategy } from "../parallel/strategy.ts";
import { argsOf, child, flag, flagsOf, frameworkOf, num, type Row, text, words } from "./rowReader.ts";

/** Spellings of attention kernels; the first match wins. */
const attentions: readonly (readonly [RegExp, Software["attention"]])[] = [
  [/unfused|eager|naive|^math/, "unfused"],
  [/^(flash|flashattn|flashattention|fa)v?4/, "flash4"],
  [/^(flash|flashattn|flashattention|fa)v?3/, "flash3"],
  [/^(flash|flashattn|flashattention|fa)v?1/, "flash1"],
  [/cudnn|^te$|transformerengine/, "cudnn"],
  [/^(flash|flashattn|flashattention|fa)(v?2|$)|^sdpa/, "flash2"],
];

export function softwareOfRow(row: Row, strategy: Strategy, notes: string[]): Software {
  const choice = softwareForRow(frameworkOf(row), text(row, "framework_version_or_date"));
  if (choice.note !== null) notes.push(choice.note);
  const flags = flagsOf(row);
  const args = argsOf(row);
  const base =
    flag(flags, "torch_compile") === false && choice.software.compiled
      ? softwarePreset("torchtitan-eager")
      : choice.software;
  const isMegatron = /megatron|nemo/i.test(base.name);
  const facts: SoftwareFacts = {
    ...attentionFacts(row, args, base, strategy, notes),
    ...precisionFacts(base, strategy, isMegatron),
    ...exchangeFacts(row, flags, base),
    ...overlapFacts(flags, base, strategy),
    ...graphFacts(flags, args),
    ...shardingFacts(flags, strategy),
    ...argumentFacts(args),
    ...dropoutFacts(args),
    ...(flag(flags, "cross_entropy_fusion") === undefined || isMegatron ? {} : { crossEntropy: "vocabParallel" }),
    ...(text(flags, "fused_linear_ce") === undefined ? {} : { crossEntropy: "fused" }),
  };
  return derive(base, base.name, facts);
}

function attentionFacts(row: Row, args: Row, base: Software, strategy: Strategy, notes: string[]): SoftwareFacts {
  const attention = statedAttention(row, args, notes);
  // Parts of a ring are joined by their softmax statistics, which only fused kernels give.
  if ((attention ?? base.attention) === "unfused" && strategy.cp > strategy.ulysses) {
    notes.push("ring attention without a fused kernel: flash2 stands in");
    return { attention: "flash2" };
  }
  return attention === undefined ? {} : { attention };
}

function statedAttention(row: Row, args: Row, notes: string[]): Software["attention"] | undefined {
  const stated = text(row, "attention_impl");
  const spelled = stated?.toLowerCase().replace(/[^a-z0-9]/g, "") ?? "";
  const known = attentions.find(([pattern]) => pattern.test(spelled))?.[1];
  // These names are of CUDA kernels; tables fill the column in for other parts too, where it says no more than that attention is fused.
  if (
    known !== undefined &&
    known !== "unfused" &&
    /tpu|trillium|ironwood|gaudi|trn|trainium|ascend/i.test(text(row, "accelerator") ?? "")
  )
    return "flash2";
  if (known === "cudnn" && /mi\d/i.test(text(row, "accelerator") ?? "")) return undefined;
  if (known !== undefined) return known;
  const backend = text(args, "attention-backend");
  if (backend === "unfused" || text(args, "transformer-impl") === "local") return "unfused";
  if (backend === "flash") return "flash2";
  if (stated !== undefined && stated !== "unknown")
    notes.push(`attention "${stated}" is not known: the preset's kernel stands in`);
  return undefined;
}

/** fp16-born presets under bf16 (accumulate_allreduce_grads_in_fp32 is forced; DeepSpeed's BF16_Optimizer) and the reverse; fp8 parameter gathers. */
function precisionFacts(base: Software, strategy: Strategy, isMegatron: boolean): SoftwareFacts {
  if (strategy.precision === "fp16")
    return {
      gatherDtype: "fp16",
      ...(base.gradDtype === "bf16" ? { gradDtype: "fp16", gradReduceDtype: "fp16" } : {}),
    };
  if (base.gradDtype === "fp16")
    return { gradDtype: "fp32", gradReduceDtype: "fp32", gatherDtype: "bf16", flatGradCopies: [] };
  // Megatron-Bridge's current-scaling and MXFP8 recipes keep parameters in fp8 and gather them so (fp8_param_gather = True); sub-channel ones do not.
  const fp8Gather =
    isMegatron &&
    base.name.startsWith("megatron-bridge") &&
    (strategy.precision === "fp8" || strategy.precision === "mxfp8");
  return fp8Gather ? { gatherDtype: "fp8" } : {};
}

function exchangeFacts(row: Row, flags: Row, base: Software): SoftwareFacts {
  const backend = text(flags, "moe_flex_dispatcher_backend");
  const facts: { moeExchange?: Software["moeExchange"]; overlapMoeExchange?: boolean; expertKernels?: "fused" } = {};
  if (backend === "deepep" || backend === "hybridep") facts.moeExchange = backend;
  // Without a flexible dispatcher Megatron's expert exchange is NCCL's all-to-all.
  else if (base.name.startsWith("megatron") && child(row, "model").experts !== undefined) facts.moeExchange = "nccl";
  if (flag(flags, "cutedsl_fused_grouped_mlp") === true) facts.expertKernels = "fused";
  const overlap = flag(flags, "moe_a2a_overlap") ?? flag(argsOf(row), "overlap-moe-expert-parallel-comm");
  if (overlap !== undefined) facts.overlapMoeExchange = overlap;
  return facts;
}

function overlapFacts(flags: Row, base: Software, strategy: Strategy): SoftwareFacts {
  const userBuffers = flag(flags, "TP_COMM_OVERLAP") ?? flag(flags, "tp_comm_overlap");
  const asyncTp = flag(flags, "async_tp");
  const stated =
    userBuffers !== undefined
      ? userBuffers
        ? "userBuffers"
        : "dgradAsync"
      : asyncTp !== undefined
        ? asyncTp
          ? "userBuffers"
          : "none"
        : base.tpOverlap;
  // User buffers need sequence parallelism (Megatron-Bridge comm_overlap.py).
  const tpOverlap = stated === "userBuffers" && strategy.tp > 1 && !strategy.sequenceParallel ? "dgradAsync" : stated;
  const ddp = text(flags, "ddp");
  return {
    tpOverlap,
    // Megatron's --DDP-impl torch reduces buckets beside backward, its local one after it.
    ...(ddp === "torch" || ddp === "local" ? { overlapGradReduce: ddp === "torch" } : {}),
  };
}

/** `cuda_graph_impl` says whether, `cuda_graph_scope` what; an impl of "none" wins over a scope left in the recipe. */
function graphFacts(flags: Row, args: Row): SoftwareFacts {
  const implementation =
    text(flags, "cuda_graph_impl") ??
    text(args, "cuda-graph-impl") ??
    (flag(flags, "LAYER_CUDA_GRAPH") === true ? "layers" : undefined);
  if (implementation === undefined || implementation === "none") return {};
  const scope = words(flags, "cuda_graph_scope") ?? words(args, "cuda-graph-modules") ?? [];
  const full = implementation === "full_iteration" || scope.includes("full_iteration");
  const routerOnly = scope.includes("moe_router") && !scope.includes("attn");
  return {
    graphScope: routerOnly ? "router" : "layer",
    cudaGraphs: full ? "full" : "layers",
    hostSecPerKernel: full ? hostSec.graph : hostSec.transformerEngine,
  };
}

function shardingFacts(flags: Row, strategy: Strategy): SoftwareFacts {
  const reduce = text(flags, "fsdp_reduce_dtype");
  const grads = text(flags, "grad_reduce");
  const fp8Gather = /fp8 all-gather|f8ag/i.test(`${text(flags, "fp8_recipe") ?? ""} ${text(flags, "quant") ?? ""}`);
  return {
    ...(reduce === "bf16" || reduce === "fp32" ? { gradReduceDtype: reduce } : {}),
    // Megatron's gradient buffer has the format it is reduced in.
    ...(grads === "bf16" || grads === "fp32" ? { gradReduceDtype: grads, gradDtype: grads } : {}),
    ...(fp8Gather && strategy.sharding !== "none" ? { gatherDtype: "fp8" } : {}),
    // Gathered copies that live through the step are 16-bit parameters beside their fp32 shards.
    ...(strategy.sharding === "zero1" || strategy.sharding === "zero2" ? { masterWeights: true } : {}),
  };
}

/**
 * Tables of Megatron runs leave its two dropout arguments out. Its default (0.1) is GPT-2's; networks with RMSNorm came after (arXiv 2302.13971) and are
 * trained without, which their recipes state (--attention-dropout 0.0 --hidden-dropout 0.0).
 */
function dropoutFacts(args: Row): SoftwareFacts {
  const stated = num(args, "attention-dropout") ?? num(args, "hidden-dropout");
  if (stated !== undefined) return { dropout: stated };
  return /^rmsnorm$/i.test(text(args, "normalization") ?? "") ? { dropout: 0 } : {};
}

/** Megatron's own command line. */
function argumentFacts(args: Row): SoftwareFacts {
  if (Object.keys(args).length === 0) return {};
  const local = text(args, "transformer-impl") === "local";
  const lossImpl = text(args, "cross-entropy-fusion-impl");
  return {
    overlapGradReduce: flag(args, "overlap-grad-reduce") === true,
    overlapParamGather: flag(args, "overlap-param-gather") === true,
    fusedActivation: flag(args, "no-bias-gelu-fusion") !== true,
    fusedRope: flag(args, "no-rope-fusion") !== true,
    fusedGradAccumulation: flag(args, "no-gradient-accumulation-fusion") !== true,
    fusedPermute: flag(args, "moe-permute-fusion") === true,
    groupedGemm: flag(args, "moe-grouped-gemm") === true,
    fusedNorm: !local,
    ...(flag(args, "cross-entropy-loss-fusion") === true
      ? lossImpl === "te"
        ? { crossEntropy: "vocabParallel" }
        : // Its compiled parts write new tensors where the unfused loss works in place (fused_cross_entropy.py under jit_fuser).
          { eagerLoss: true }
      : {}),
    ...(flag(args, "tp-comm-overlap") === true ? { tpOverlap: "userBuffers" } : {}),
    ...(flag(args, "accumulate-allreduce-grads-in-fp32") === true
      ? { gradDtype: "fp32", gradReduceDtype: "fp32" }
      : {}),
  };
}
