// Facts of the software that Megatron-Core has options for: what overlaps, what is fused, which kernels run. Both ways.
//
// A fact that means nothing for the job (an expert exchange without experts) is neither written nor read.

import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { snakeCase } from "../../units/spelling.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import type { Argument } from "./megatronModel.ts";
import { hasExperts, isSharded, usesFsdp } from "./megatronStrategy.ts";
import type { SoftwareFact } from "./softwareFacts.ts";

interface SwitchFact {
  readonly fact:
    | "overlapGradReduce"
    | "overlapParamGather"
    | "fusedPermute"
    | "groupedGemm"
    | "overlapMoeExchange"
    | "overlapP2p"
    | "fusedRope"
    | "fusedSoftmax"
    | "fusedGradAccumulation";
  readonly flag: string;
  /** The flag turns the fact on, or off. */
  readonly turns: "on" | "off";
  readonly matters: (spec: ResolvedSpec) => boolean;
}

const switchFacts: readonly SwitchFact[] = [
  {
    fact: "overlapGradReduce",
    flag: "overlap-grad-reduce",
    turns: "on",
    matters: ({ strategy }) => strategy.dp * strategy.cp > 1,
  },
  {
    fact: "overlapParamGather",
    flag: "overlap-param-gather",
    turns: "on",
    matters: (spec) => isSharded(spec) && spec.software.overlapGradReduce,
  },
  {
    fact: "overlapP2p",
    flag: "no-overlap-p2p-communication",
    turns: "off",
    matters: ({ strategy }) => strategy.pp > 1 && strategy.numChunks > 1,
  },
  { fact: "fusedPermute", flag: "moe-permute-fusion", turns: "on", matters: hasExperts },
  {
    fact: "groupedGemm",
    flag: "moe-grouped-gemm",
    turns: "on",
    // Transformer Engine's grouped layers exist in bf16 and what is built on it.
    matters: (spec) => hasExperts(spec) && spec.strategy.precision !== "fp16" && spec.strategy.precision !== "fp32",
  },
  {
    fact: "overlapMoeExchange",
    flag: "overlap-moe-expert-parallel-comm",
    turns: "on",
    matters: (spec) => hasExperts(spec) && spec.strategy.ep > 1,
  },
  { fact: "fusedRope", flag: "no-rope-fusion", turns: "off", matters: ({ model }) => model.position === "rope" },
  {
    fact: "fusedSoftmax",
    flag: "no-masked-softmax-fusion",
    turns: "off",
    matters: ({ software }) => software.attention === "unfused",
  },
  {
    fact: "fusedGradAccumulation",
    flag: "no-gradient-accumulation-fusion",
    turns: "off",
    matters: (spec) => !usesFsdp(spec),
  },
];

export interface SoftwareArguments {
  readonly args: readonly Argument[];
  /** Facts that the options settle, or that mean nothing for this job. */
  readonly told: ReadonlySet<SoftwareFact>;
}

export function softwareArguments(spec: ResolvedSpec): SoftwareArguments {
  const { strategy, software, model } = spec;
  const args: Argument[] = [];
  const told = new Set<SoftwareFact>();
  for (const { fact, flag, turns, matters } of switchFacts) {
    // Two wishes that Megatron refuses: gathering beside compute without reducing beside it, grouped experts in other formats than bf16.
    const isRefused =
      (fact === "overlapParamGather" && isSharded(spec)) || (fact === "groupedGemm" && hasExperts(spec));
    if (matters(spec) || !isRefused) told.add(fact);
    if (matters(spec) && software[fact] === (turns === "on")) args.push([flag]);
  }
  const tell = (facts: readonly SoftwareFact[], ...more: readonly Argument[]) => {
    for (const fact of facts) told.add(fact);
    args.push(...more);
  };
  if (!software.fusedActivation) args.push(["no-bias-swiglu-fusion"], ["no-bias-gelu-fusion"]);
  tell(["fusedActivation"]);
  if (strategy.tp === 1) tell(["tpOverlap"]);
  else if (software.tpOverlap !== "none")
    tell(["tpOverlap"], ...(software.tpOverlap === "userBuffers" ? ([["tp-comm-overlap"]] as const) : []));
  tell(["dropout"], ["attention-dropout", String(software.dropout)], ["hidden-dropout", String(software.dropout)]);
  const backend = software.attention === "unfused" ? "unfused" : software.attention === "cudnn" ? "fused" : "flash";
  tell(["attention"], ["attention-backend", backend]);
  tell(["crossEntropy"]);
  if (software.crossEntropy === "vocabParallel")
    args.push(["cross-entropy-loss-fusion"], ["cross-entropy-fusion-impl", "te"]);
  args.push(...gradientArguments(spec, told));
  if (!hasExperts(spec) || strategy.ep === 1) tell(["moeExchange"]);
  if (hasExperts(spec)) {
    const { moeExchange } = software;
    if (moeExchange === "deepep" || moeExchange === "hybridep")
      tell(["moeExchange"], ["moe-token-dispatcher-type", "flex"], ["moe-flex-dispatcher-backend", moeExchange]);
    else {
      args.push(["moe-token-dispatcher-type", "alltoall"]);
      if (moeExchange === "nccl") tell(["moeExchange"]);
    }
  } else for (const fact of ["expertKernels", "routingReadBack", "gatesInActivation"] as const) told.add(fact);
  args.push(...graphArguments(spec));
  tell(["cudaGraphs", "graphScope"]);
  if (
    strategy.precision !== "fp32" &&
    strategy.precision !== "fp16" &&
    isSharded(spec) &&
    strategy.sharding === "zero1"
  ) {
    if (software.optimizerStateDtype !== "fp32" && !strategy.offloadOptimizer)
      args.push(["use-precision-aware-optimizer"]);
    if (software.optimizerStateDtype !== "fp32")
      args.push(["exp-avg-dtype", software.optimizerStateDtype], ["exp-avg-sq-dtype", software.optimizerStateDtype]);
    tell(["optimizerStateDtype"]);
  }
  if (/^(fp8|fp8_block|mxfp8)$/.test(strategy.precision) && isSharded(spec)) {
    if (software.gatherDtype === "fp8") tell(["gatherDtype"], ["fp8-param-gather"]);
  }
  // Written with the number format.
  tell(["fp8Scaling"]);
  if (model.vocab > 0) tell(["vocabMultiple"], ["make-vocab-size-divisible-by", String(software.vocabMultiple)]);
  return { args, told };
}

/** Switches that mean something for the job, with what they should be: for formats whose defaults are a recipe's. */
export function settledSwitches(spec: ResolvedSpec): readonly { readonly flag: string; readonly stands: boolean }[] {
  return switchFacts
    .filter(({ matters }) => matters(spec))
    .map(({ fact, flag, turns }) => ({ flag, stands: spec.software[fact] === (turns === "on") }));
}

/** For bf16, one option makes the gradient buffer bf16, so the sum and the wire too; fp16 sums in fp16 unless told otherwise. */
function gradientArguments({ strategy, software }: ResolvedSpec, told: Set<SoftwareFact>): readonly Argument[] {
  const { gradDtype, gradReduceDtype } = software;
  if (strategy.precision === "fp32" || gradDtype !== gradReduceDtype) return [];
  const known = gradDtype === "fp32" || gradDtype === (strategy.precision === "fp16" ? "fp16" : "bf16");
  if (!known) return [];
  told.add("gradDtype");
  told.add("gradReduceDtype");
  if (gradDtype === "fp32") return [["accumulate-allreduce-grads-in-fp32"]];
  return gradDtype === "bf16" ? [["grad-reduce-in-bf16"]] : [];
}

function graphArguments(spec: ResolvedSpec): readonly Argument[] {
  const { cudaGraphs, graphScope } = spec.software;
  if (cudaGraphs === "none") return [];
  if (cudaGraphs === "full")
    return [
      ["cuda-graph-impl", "local"],
      ["cuda-graph-scope", "full_iteration"],
      ["no-check-for-nan-in-loss-and-grad"],
      ["te-rng-tracker"],
    ];
  const scope = graphScope === "router" ? ["moe_router"] : hasExperts(spec) ? ["attn", "moe_router"] : ["attn", "mlp"];
  return [["cuda-graph-impl", "transformer_engine"], ["cuda-graph-scope", ...scope], ["te-rng-tracker"]];
}

// --- Reading ---------------------------------------------------------------------------------------------------------------------------------------

export interface SoftwareContext {
  readonly preset: string;
  /** An option that is absent has its command line default (Megatron-LM); else the preset's fact holds (recipes). */
  readonly absentIsDefault: boolean;
  readonly precision: string;
  readonly hasExperts: boolean;
}

export function readSoftwareFlags(flags: FlagReader, context: SoftwareContext, out: ImportBuilder): void {
  const home = softwarePreset(context.preset);
  const set = <Fact extends SoftwareFact>(fact: Fact, value: Software[Fact] | undefined, flag: string) => {
    if (value !== undefined && value !== home[fact]) out.set(`software.${snakeCase(fact)}`, value, flags.place(flag));
  };
  for (const { fact, flag, turns } of switchFacts) {
    const isMoe = flag.includes("moe");
    if (isMoe && !context.hasExperts) continue;
    const state = flags.state(flag) ?? (context.absentIsDefault ? false : undefined);
    set(fact, state === undefined ? undefined : state === (turns === "on"), flag);
  }
  if (flags.has("no-bias-swiglu-fusion")) set("fusedActivation", false, "no-bias-swiglu-fusion");
  const overlap = flags.state("tp-comm-overlap");
  if (overlap !== undefined) set("tpOverlap", overlap ? "userBuffers" : "dgradAsync", "tp-comm-overlap");
  set("dropout", flags.number("hidden-dropout") ?? flags.number("attention-dropout"), "hidden-dropout");
  const backend = flags.text("attention-backend");
  if (backend !== undefined || flags.has("use-flash-attn"))
    set(
      "attention",
      backend === "unfused" || backend === "local"
        ? "unfused"
        : backend === "flash" || backend === undefined
          ? "flash2"
          : "cudnn",
      "attention-backend",
    );
  const fused = flags.state("cross-entropy-loss-fusion") ?? (context.absentIsDefault ? false : undefined);
  if (fused !== undefined) set("crossEntropy", fused ? "vocabParallel" : "fp32Copy", "cross-entropy-loss-fusion");
  readGradients(flags, context, set);
  if (context.hasExperts) {
    const type = flags.choice("moe-token-dispatcher-type", ["allgather", "alltoall", "flex"]);
    const backendName = flags.choice("moe-flex-dispatcher-backend", ["deepep", "hybridep"]);
    if (type === "flex") set("moeExchange", backendName ?? "deepep", "moe-token-dispatcher-type");
    else if (type !== undefined) set("moeExchange", "nccl", "moe-token-dispatcher-type");
    if (type === "allgather" || (type === undefined && context.absentIsDefault))
      out.warn(
        flags.place("moe-token-dispatcher-type") ?? flags.place("num-experts"),
        "The allgather dispatcher is priced as alltoall",
        "use --moe-token-dispatcher-type alltoall or flex",
      );
  }
  const impl = flags.choice("cuda-graph-impl", ["none", "local", "transformer_engine"]);
  if (impl !== undefined || flags.has("enable-cuda-graph") || flags.has("external-cuda-graph")) {
    const scope = flags.list("cuda-graph-scope") ?? [];
    set(
      "cudaGraphs",
      impl === "none" ? "none" : scope.includes("full_iteration") ? "full" : "layers",
      "cuda-graph-impl",
    );
    if (scope.length === 1 && scope[0] === "moe_router") set("graphScope", "router", "cuda-graph-scope");
  }
  const state = flags.choice("exp-avg-dtype", ["fp32", "fp16", "bf16", "fp8"]);
  if (state !== undefined) set("optimizerStateDtype", state, "exp-avg-dtype");
  if (flags.state("fp8-param-gather") === true) set("gatherDtype", "fp8", "fp8-param-gather");
  const recipe = flags.text("fp8-recipe");
  if (context.precision === "fp8") set("fp8Scaling", recipe === "tensorwise" ? "current" : "delayed", "fp8-recipe");
  set("vocabMultiple", flags.count("make-vocab-size-divisible-by"), "make-vocab-size-divisible-by");
}

type SetFact = <Fact extends SoftwareFact>(fact: Fact, value: Software[Fact] | undefined, flag: string) => void;

function readGradients(flags: FlagReader, context: SoftwareContext, set: SetFact): void {
  const inBf16 = flags.state("grad-reduce-in-bf16");
  const inFp32 = flags.state("accumulate-allreduce-grads-in-fp32");
  const flag = inBf16 === undefined ? "accumulate-allreduce-grads-in-fp32" : "grad-reduce-in-bf16";
  let format: Software["gradDtype"] | undefined;
  if (context.precision === "fp16") format = inFp32 === true ? "fp32" : "fp16";
  else if (context.precision !== "fp32")
    format =
      inBf16 === true ? "bf16" : inFp32 === true || inBf16 === false || context.absentIsDefault ? "fp32" : undefined;
  set("gradDtype", format, flag);
  set("gradReduceDtype", format, flag);
}
