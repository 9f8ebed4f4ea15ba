// What Megatron-Core's own validation refuses: pairs of options (megatronPairs.ts) and rules between values. Each rule stands once; what the model and the
// cluster say about divisibility is for spec/checkStrategy.ts.
//
// Source: Megatron-LM megatron/training/arguments.py (validate_args), core/transformer/transformer_config.py, core/optimizer/optimizer_config.py.

import type { ImportHints } from "./contract.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import { excludes, needs } from "./megatronPairs.ts";
import type { ReadSizes } from "./megatronRead.ts";
import type { ShellWord } from "./shellText.ts";

export interface CheckContext {
  readonly flags: FlagReader;
  readonly sizes: ReadSizes;
  readonly hints: ImportHints;
  readonly out: ImportBuilder;
  /** Names as the text writes them: `--x` or `model.x`. */
  readonly name: (flag: string) => string;
}

export function checkMegatron(context: CheckContext): void {
  const { flags, out, name } = context;
  for (const [flag, other, why] of needs)
    if (flags.has(flag) && !flags.has(other))
      out.error(flags.place(flag), `${name(flag)} needs ${name(other)}: ${why}`);
  for (const [flag, other, why] of excludes)
    if (flags.has(flag) && flags.has(other))
      out.error(flags.place(flag), `${name(flag)} and ${name(other)} exclude each other: ${why}`);
  checkRecompute(context);
  checkParallel(context);
  checkPipeline(context);
  checkOptimizer(context);
  checkExperts(context);
}

function checkRecompute({ flags, out, name }: CheckContext): void {
  const place = flags.place("recompute-granularity");
  const granularity = flags.text("recompute-granularity");
  if (granularity === "full") {
    for (const flag of ["recompute-method", "recompute-num-layers"])
      if (!flags.has(flag)) out.error(place, `Full recompute needs ${name(flag)}`);
    if (flags.has("recompute-modules"))
      out.error(flags.place("recompute-modules"), `${name("recompute-modules")} does not go with full recompute`);
    if ((flags.text("cuda-graph-impl") ?? "none") !== "none")
      out.error(flags.place("cuda-graph-impl"), "CUDA graphs do not go with full recompute");
  }
  if (granularity === "selective")
    for (const flag of ["recompute-method", "recompute-num-layers"])
      if (flags.has(flag)) out.error(flags.place(flag), `${name(flag)} does not go with selective recompute`);
  if (flags.list("recompute-modules")?.includes("moe_act") === true && !flags.has("moe-grouped-gemm"))
    out.error(flags.place("recompute-modules"), `Recompute of moe_act needs ${name("moe-grouped-gemm")}`);
  const offloaded = flags.count("cpu-offloading-num-layers", 0) ?? 0;
  if (offloaded > 0 && granularity !== undefined)
    out.error(flags.place("cpu-offloading-num-layers"), "Offload of activations does not go with recompute");
}

function checkParallel({ flags, out, sizes, hints, name }: CheckContext): void {
  const { tp, cp, pp } = sizes;
  if (flags.has("sequence-parallel") && tp === 1)
    out.warn(flags.place("sequence-parallel"), "Sequence parallelism is switched off at tensor parallel size 1");
  if (flags.has("tp-comm-overlap") && !flags.has("sequence-parallel"))
    out.error(flags.place("tp-comm-overlap"), `${name("tp-comm-overlap")} needs ${name("sequence-parallel")}`);
  const types = flags.list("cp-comm-type") ?? [];
  const levels = flags.list("hierarchical-context-parallel-sizes")?.map(Number);
  if (types.includes("a2a+p2p") && levels === undefined)
    out.error(flags.place("cp-comm-type"), `a2a+p2p needs ${name("hierarchical-context-parallel-sizes")}`);
  if (levels !== undefined && levels.reduce((a, b) => a * b, 1) !== cp)
    out.error(
      flags.place("hierarchical-context-parallel-sizes"),
      `The sizes ${levels.join(" x ")} do not multiply to the context parallel size ${cp}`,
    );
  const seqLen = flags.count("seq-length");
  if (seqLen !== undefined && cp > 1 && seqLen % (2 * cp) !== 0)
    out.error(
      flags.place("seq-length"),
      `A sequence of ${seqLen} tokens does not split into 2 x ${cp} pieces`,
      `use a multiple of ${2 * cp}`,
    );
  const positions = flags.count("max-position-embeddings");
  if (seqLen !== undefined && positions !== undefined && positions < seqLen)
    out.error(
      flags.place("max-position-embeddings"),
      `${positions} positions are fewer than the ${seqLen} tokens of a sequence`,
    );
  if (flags.has("use-torch-fsdp2")) {
    if (pp > 1 || sizes.ep > 1)
      out.error(flags.place("use-torch-fsdp2"), "FSDP2 does not go with pipeline or expert parallelism");
    for (const flag of ["no-gradient-accumulation-fusion", "untie-embeddings-and-output-weights"])
      if (!flags.has(flag)) out.error(flags.place("use-torch-fsdp2"), `FSDP2 needs ${name(flag)}`);
  }
  if (flags.has("use-megatron-fsdp") && (flags.text("ckpt-format") ?? "torch_dist") !== "fsdp_dtensor")
    out.error(
      flags.place("ckpt-format") ?? flags.place("use-megatron-fsdp"),
      `Megatron-FSDP needs ${name("ckpt-format")} fsdp_dtensor`,
    );
  const devices = hints.cluster?.numDevices;
  if (
    devices !== undefined &&
    sizes.dp !== undefined &&
    sizes.ep * sizes.etp > 1 &&
    (devices / pp) % (sizes.ep * sizes.etp) !== 0
  )
    out.error(
      flags.place("expert-model-parallel-size"),
      `expert parallel ${sizes.ep} x expert tensor parallel ${sizes.etp} does not divide the ${devices / pp} ranks of a stage`,
    );
}

function checkPipeline({ flags, out, sizes, name }: CheckContext): void {
  const { pp, numChunks, numLayers } = sizes;
  const chunkFlag = [
    "num-virtual-stages-per-pipeline-rank",
    "num-layers-per-virtual-pipeline-stage",
    "pipeline-model-parallel-layout",
  ].find((flag) => flags.has(flag));
  if (pp === 1 && numChunks > 1)
    out.error(
      chunkFlag === undefined ? undefined : flags.place(chunkFlag),
      "Virtual stages need a pipeline of at least 2 ranks",
    );
  if (pp === 2 && numChunks > 1 && flags.has("no-overlap-p2p-communication"))
    out.error(
      flags.place("no-overlap-p2p-communication"),
      "Interleaving 2 pipeline ranks needs overlapped point-to-point messages",
    );
  const layout = flags.text("pipeline-model-parallel-layout");
  const uneven =
    layout !== undefined ||
    flags.has("hybrid-layer-pattern") ||
    flags.has("decoder-first-pipeline-num-layers") ||
    flags.has("decoder-last-pipeline-num-layers");
  if (numLayers !== undefined && pp > 1 && !uneven) {
    const ends =
      (flags.has("account-for-embedding-in-pipeline-split") ? 1 : 0) +
      (flags.has("account-for-loss-in-pipeline-split") ? 1 : 0);
    const units = numLayers + ends;
    if (units % pp !== 0)
      out.error(
        flags.place("pipeline-model-parallel-size"),
        `${numLayers} layers${ends > 0 ? ` and ${ends} end${ends > 1 ? "s" : ""}` : ""} do not split evenly over ${pp} pipeline ranks`,
        `state uneven stages with ${name("pipeline-model-parallel-layout")}`,
      );
    else {
      const perStage = flags.count("num-layers-per-virtual-pipeline-stage");
      if (perStage !== undefined && (units / pp) % perStage !== 0)
        out.error(
          flags.place("num-layers-per-virtual-pipeline-stage"),
          `${perStage} layers of a virtual stage do not divide the ${units / pp} layers of a pipeline rank`,
        );
      const chunks = flags.count("num-virtual-stages-per-pipeline-rank");
      if (chunks !== undefined && (units / pp) % chunks !== 0)
        out.error(
          flags.place("num-virtual-stages-per-pipeline-rank"),
          `${chunks} virtual stages do not divide the ${units / pp} layers of a pipeline rank`,
        );
    }
  }
  const group = flags.count("microbatch-group-size-per-virtual-pipeline-stage");
  if (group !== undefined && group !== pp) {
    const place = flags.place("microbatch-group-size-per-virtual-pipeline-stage");
    if (group < pp) out.error(place, `A group of ${group} micro-batches is smaller than the ${pp} pipeline ranks`);
    else out.warn(place, `Groups of ${group} micro-batches are priced as groups of ${pp}`);
  }
  if (layout !== undefined) {
    const numStages = layout.includes("*") ? undefined : layout.split("|").length;
    if (numStages !== undefined && numStages % pp !== 0)
      out.error(
        flags.place("pipeline-model-parallel-layout"),
        `${numStages} stages are not a multiple of the ${pp} pipeline ranks`,
      );
  }
  const offloaded = flags.count("cpu-offloading-num-layers", 0) ?? 0;
  if (offloaded > 0 && pp > 1)
    out.error(flags.place("cpu-offloading-num-layers"), "Offload of activations does not go with a pipeline");
  if (offloaded > 0 && numLayers !== undefined && offloaded >= numLayers)
    out.error(
      flags.place("cpu-offloading-num-layers"),
      `At most ${numLayers - 1} of ${numLayers} layers can be offloaded`,
    );
}

function checkOptimizer({ flags, out, sizes, name }: CheckContext): void {
  const sharded = ["use-distributed-optimizer", "use-megatron-fsdp", "use-torch-fsdp2"].some((flag) => flags.has(flag));
  if (flags.has("overlap-param-gather") && !flags.has("use-distributed-optimizer") && !flags.has("use-megatron-fsdp"))
    out.error(
      flags.place("overlap-param-gather"),
      `${name("overlap-param-gather")} needs ${name("use-distributed-optimizer")}: without it no parameters are gathered`,
    );
  if (flags.has("fp8-param-gather") && !sharded)
    out.error(
      flags.place("fp8-param-gather"),
      `${name("fp8-param-gather")} needs ${name("use-distributed-optimizer")} or FSDP`,
    );
  const optimizer = flags.text("optimizer");
  if (optimizer === "muon" && sharded) out.error(flags.place("optimizer"), "Muon does not go with a sharded optimizer");
  if (optimizer === "sgd" && flags.has("use-distributed-optimizer") && !flags.has("use-megatron-fsdp"))
    out.error(flags.place("optimizer"), "The distributed optimizer is built on Adam");
  if (flags.has("fp16-lm-cross-entropy") && !flags.has("fp16"))
    out.error(flags.place("fp16-lm-cross-entropy"), "Cross-entropy in fp16 needs fp16 training");
  if (sizes.precision !== "fp32" || !flags.has("fp32-residual-connection")) return;
  out.error(flags.place("fp32-residual-connection"), "Residuals in fp32 need 16-bit training");
}

function checkExperts({ flags, out, sizes, name }: CheckContext): void {
  const { ep, etp, tp, pp, numChunks } = sizes;
  const experts = flags.count("num-experts", 0) ?? 0;
  const place = flags.place("expert-model-parallel-size");
  if (ep > 1 && flags.has("num-layers") && experts === 0)
    out.error(place, `Expert parallelism needs ${name("num-experts")}`);
  if (ep > 1 && experts > 0 && experts % ep !== 0)
    out.error(place, `${experts} experts do not split over ${ep} expert parallel ranks`);
  if (ep > 1 && flags.has("fp16")) out.error(place, "Expert parallelism does not go with fp16");
  if (ep > 1 && tp > 1 && !flags.has("sequence-parallel"))
    out.error(place, `Expert parallelism with tensor parallelism needs ${name("sequence-parallel")}`);
  if (flags.has("moe-grouped-gemm") && !flags.has("bf16") && flags.has("num-layers"))
    out.error(flags.place("moe-grouped-gemm"), `${name("moe-grouped-gemm")} needs ${name("bf16")}`);
  if (experts > 0 && etp > 1 && flags.has("num-layers") && !flags.has("disable-bias-linear"))
    out.error(
      flags.place("expert-tensor-parallel-size") ?? flags.place("num-experts"),
      `Experts split over ${etp} tensor parallel ranks need ${name("disable-bias-linear")}`,
    );
  if (flags.has("overlap-moe-expert-parallel-comm")) {
    const at = flags.place("overlap-moe-expert-parallel-comm");
    if (ep === 1) out.error(at, "There is no expert exchange to overlap at expert parallel size 1");
    if (flags.text("recompute-granularity") === "full")
      out.error(at, "Overlap of the expert exchange does not go with full recompute");
    if (pp > 1 && numChunks === 1) out.error(at, "Overlap of the expert exchange in a pipeline needs virtual stages");
    if ((flags.text("moe-token-dispatcher-type") ?? "allgather") === "allgather")
      out.error(at, `Overlap of the expert exchange needs ${name("moe-token-dispatcher-type")} alltoall or flex`);
  }
}

/** Variables of the script that Megatron asserts. */
export function checkEnvironment(context: CheckContext, environment: ReadonlyMap<string, ShellWord>): void {
  const { flags, sizes, hints, out } = context;
  const variable = environment.get("CUDA_DEVICE_MAX_CONNECTIONS");
  const place = variable === undefined ? undefined : { line: variable.line, at: "CUDA_DEVICE_MAX_CONNECTIONS" };
  const fsdp = flags.has("use-megatron-fsdp") || flags.has("use-torch-fsdp2");
  if (fsdp && variable?.text === "1") out.error(place, "FSDP needs CUDA_DEVICE_MAX_CONNECTIONS to be unset or above 1");
  // Blackwell keeps the order of streams by priorities.
  const isOlder = hints.cluster === undefined || !/blackwell|rubin/i.test(hints.cluster.device.arch);
  if (fsdp || !isOlder || sizes.tp * sizes.cp === 1) return;
  if (variable === undefined)
    out.warn(
      undefined,
      "Tensor and context parallelism need CUDA_DEVICE_MAX_CONNECTIONS=1 up to Hopper, which the file does not set",
    );
  else if (variable.text !== "1" && variable.unresolved === null)
    out.error(
      place,
      `Tensor and context parallelism need CUDA_DEVICE_MAX_CONNECTIONS=1 up to Hopper, not ${variable.text}`,
    );
}
