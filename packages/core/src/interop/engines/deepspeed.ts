// DeepSpeed: a job as ds_config.json, and such a file as a job. The file configures a training script, which is the user's: what the script itself has
// to do (checkpoint layers, build the pipeline) is said in the notes.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { InputError } from "../../units/errors.ts";
import { snakeCase } from "../../units/spelling.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { checkDeepspeed } from "./deepspeedChecks.ts";
import { ConfigReader, deepspeedSizes } from "./deepspeedReader.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { jobLine } from "./jobLine.ts";
import { readJson } from "./jsonText.ts";
import { type SoftwareFact, untoldNote } from "./softwareFacts.ts";

const preset = "deepspeed-hf-2026";
const { title, target } = engineFacts("deepspeed");

export const deepspeedFormat: EngineFormat = { engine: "deepspeed", exportSpec, importText };

const stages = ["none", "zero1", "zero2", "zero3"] as const;

function exportSpec(spec: ResolvedSpec): EngineExport {
  const { strategy, workload, software, model } = spec;
  const { tp, cp, pp, ep, dp, microBatch } = strategy;
  const config: Record<string, unknown> = {
    _comment: `${target}. ${jobLine(spec)}`,
    train_batch_size: workload.globalBatch,
    train_micro_batch_size_per_gpu: microBatch,
    gradient_accumulation_steps: workload.globalBatch / (microBatch * dp),
    gradient_clipping: 1.0,
    ...(strategy.precision === "fp32" ? {} : { [strategy.precision]: { enabled: true } }),
    zero_optimization: zeroSection(spec),
    optimizer: optimizerSection(spec),
    ...(strategy.optimizer === "adamw" ? {} : { zero_allow_untested_optimizer: true }),
    communication_data_type: software.gradReduceDtype,
    data_types: { grad_accum_dtype: software.gradDtype },
    ...(tp > 1 ? { tensor_parallel: { autotp_size: tp } } : {}),
    ...(cp > 1 ? { sequence_parallel_size: cp } : {}),
    ...(ep > 1 ? { expert_parallel: { enabled: true, autoep_size: ep } } : {}),
    ...(pp > 1 ? { pipeline: pipelineSection(spec) } : {}),
    ...(strategy.recompute.kind === "full" ? { activation_checkpointing: checkpointSection(spec) } : {}),
  };
  const told = new Set<SoftwareFact>(["overlapGradReduce", "gradReduceDtype", "gradDtype", "reduceBucketElements"]);
  if (strategy.sharding === "zero3") told.add("liveGatherElements");
  if (strategy.sharding === "zero1" || strategy.sharding === "zero2") told.add("gatherBucketElements");
  return {
    engine: "deepspeed",
    targetVersion: target,
    files: [{ path: "ds_config.json", text: `${JSON.stringify(config, null, 2)}\n` }],
    program: ["train.py", "--deepspeed_config", "ds_config.json"],
    environment: {},
    notes: [
      `train.py stands for your training script: it reads sequences of ${workload.seqLen} tokens and builds "${model.name}"`,
      ...scriptNotes(spec),
      ...untoldNote(title, spec, preset, told),
    ],
  };
}

function zeroSection({ strategy, software }: ResolvedSpec): Record<string, unknown> {
  const stage = stages.indexOf(strategy.sharding);
  const home = softwarePreset(preset);
  const copies = (strategy.dp * strategy.cp) / strategy.shardGroup;
  return {
    stage,
    overlap_comm: software.overlapGradReduce,
    contiguous_gradients: true,
    reduce_scatter: true,
    reduce_bucket_size: software.reduceBucketElements ?? home.reduceBucketElements,
    ...(stage === 1 || stage === 2 ? { allgather_bucket_size: software.gatherBucketElements ?? 5e8 } : {}),
    ...(stage === 3 ? { stage3_max_live_parameters: software.liveGatherElements ?? home.liveGatherElements } : {}),
    ...(stage === 3 && copies > 1 ? { mics_shard_size: strategy.shardGroup } : {}),
    ...(strategy.offloadOptimizer ? { offload_optimizer: { device: "cpu", pin_memory: true } } : {}),
  };
}

function optimizerSection({ strategy }: ResolvedSpec): Record<string, unknown> {
  const type = { adamw: "AdamW", sgd: "SGD", muon: "Muon", adafactor: "Adafactor" }[strategy.optimizer];
  return { type, params: { lr: 1e-4 } };
}

function pipelineSection({ strategy: { pp, recompute } }: ResolvedSpec): Record<string, unknown> {
  return {
    stages: pp,
    partition: "uniform",
    activation_checkpoint_interval: recompute.kind === "full" ? recompute.everyLayers : 0,
  };
}

function checkpointSection({ strategy, model }: ResolvedSpec): Record<string, unknown> {
  const every = strategy.recompute.kind === "full" ? strategy.recompute.everyLayers : 1;
  return {
    partition_activations: false,
    cpu_checkpointing: strategy.offloadActivations,
    number_checkpoints: Math.ceil(model.layers.length / every),
  };
}

function scriptNotes({ strategy, model }: ResolvedSpec): readonly string[] {
  const notes: string[] = [];
  const { pp, cp, recompute, routing } = strategy;
  if (recompute.kind === "full")
    notes.push(
      "The script checkpoints the layers (gradient_checkpointing_enable() of a Hugging Face model, or deepspeed.checkpointing): the file only says how",
    );
  if (pp > 1)
    notes.push(
      `The script wraps the layers in a PipelineModule of ${pp} stages with ${model.layers.length / pp} layers each`,
    );
  if (cp > 1)
    notes.push(
      "The script registers Ulysses attention (UlyssesSPAttentionHF) and shards sequences over the sequence parallel group",
    );
  if (routing.kind !== "balanced" && model.layerKinds.some(({ ffn }) => ffn.kind === "moe"))
    notes.push(`How tokens choose experts (routing ${routing.kind}) is assumed, not set`);
  return notes;
}

// --- Reading ---------------------------------------------------------------------------------------------------------------------------------------

function importText(text: string, hints: ImportHints): EngineImport {
  const json = readJson(text);
  if (typeof json.value !== "object" || json.value === null || Array.isArray(json.value))
    throw new InputError({
      path: "",
      message: "A DeepSpeed configuration is one object",
      hint: 'such as {"train_batch_size": 64, ...}',
    });
  const out = new ImportBuilder("deepspeed", preset);
  const read = new ConfigReader(json, out);
  checkDeepspeed(read, hints);
  readStrategy(read, hints, out);
  readSoftware(read, out);
  return out.build();
}

function readStrategy(read: ConfigReader, hints: ImportHints, out: ImportBuilder): void {
  const { tp, cp, pp, ep } = deepspeedSizes(read);
  const set = (field: string, value: unknown, path: string) => out.set(`strategy.${field}`, value, read.place(path));
  set("tp", tp, "tensor_parallel.autotp_size");
  set("cp", cp, "sequence_parallel_size");
  if (cp > 1) set("ulysses", cp, "sequence_parallel_size");
  set("pp", pp, "pipeline.stages");
  set("ep", ep, "expert_parallel.autoep_size");
  // Experts stay whole; without experts the field means nothing.
  if (hints.model?.layerKinds.some(({ ffn }) => ffn.kind === "moe") === true) out.set("strategy.etp", 1);
  out.set("strategy.sequence_parallel", false);
  out.set("strategy.schedule", "1f1b");
  const stage = read.count("zero_optimization.stage", 0) ?? 0;
  set("sharding", stages[stage] ?? "none", "zero_optimization.stage");
  if (stage === 3) out.set("strategy.reshard_after_forward", true);
  const group = read.count("zero_optimization.mics_shard_size", -1) ?? -1;
  if (stage === 3 && group > 0) set("shard_group", group, "zero_optimization.mics_shard_size");
  const micro = read.count("train_micro_batch_size_per_gpu");
  const devices = hints.cluster?.numDevices;
  const dp = devices === undefined ? undefined : devices / (tp * cp * pp);
  const accumulation = read.count("gradient_accumulation_steps");
  const total = read.count("train_batch_size");
  const known = dp !== undefined && Number.isInteger(dp);
  if (micro !== undefined) set("micro_batch", micro, "train_micro_batch_size_per_gpu");
  else if (total !== undefined && known) {
    const derived = total / (dp * (accumulation ?? 1));
    if (Number.isInteger(derived)) set("micro_batch", derived, "train_batch_size");
  }
  if (total !== undefined) out.set("workload.global_batch", total, read.place("train_batch_size"));
  else if (micro !== undefined && known)
    out.set("workload.global_batch", micro * (accumulation ?? 1) * dp, read.place("train_micro_batch_size_per_gpu"));
  if (hints.seqLen !== undefined) out.set("workload.seq", hints.seqLen);
  readRecompute(read, hints, pp, out);
  const device =
    read.text("zero_optimization.offload_optimizer.device") ??
    (read.flag("zero_optimization.cpu_offload") === true ? "cpu" : "none");
  if (device !== "none") set("offload_optimizer", true, "zero_optimization.offload_optimizer");
  const precision = read.enabled("bf16") || read.enabled("bfloat16") ? "bf16" : read.enabled("fp16") ? "fp16" : "fp32";
  set("precision", precision, precision === "fp32" ? "bf16" : precision);
  const type = read.text("optimizer.type")?.toLowerCase() ?? "adamw";
  const optimizer = /adam/.test(type)
    ? "adamw"
    : type === "sgd"
      ? "sgd"
      : type === "muon"
        ? "muon"
        : type === "adafactor"
          ? "adafactor"
          : undefined;
  if (optimizer === undefined)
    out.warn(read.place("optimizer.type"), `Optimizer "${read.text("optimizer.type")}" is priced as AdamW`);
  set("optimizer", optimizer ?? "adamw", "optimizer.type");
}

function readRecompute(read: ConfigReader, hints: ImportHints, pp: number, out: ImportBuilder): void {
  const interval = pp > 1 ? (read.count("pipeline.activation_checkpoint_interval", 0) ?? 0) : 0;
  const section = read.raw("activation_checkpointing");
  if (section === undefined && interval === 0) {
    out.set("strategy.recompute", "none");
    return;
  }
  const checkpoints = read.count("activation_checkpointing.number_checkpoints");
  const layers = hints.model?.layers.length;
  const every =
    interval > 0
      ? interval
      : checkpoints === undefined || layers === undefined
        ? 1
        : Math.max(1, Math.ceil(layers / checkpoints));
  out.set(
    "strategy.recompute",
    { kind: "full", every_layers: every },
    read.place(interval > 0 ? "pipeline.activation_checkpoint_interval" : "activation_checkpointing"),
  );
  if (read.flag("activation_checkpointing.cpu_checkpointing") === true)
    out.set("strategy.offload_activations", true, read.place("activation_checkpointing.cpu_checkpointing"));
}

function readSoftware(read: ConfigReader, out: ImportBuilder): void {
  const home = softwarePreset(preset);
  const set = <Fact extends SoftwareFact>(fact: Fact, value: Software[Fact] | undefined, path: string) => {
    if (value !== undefined && value !== home[fact]) out.set(`software.${snakeCase(fact)}`, value, read.place(path));
  };
  const zero = "zero_optimization";
  set("overlapGradReduce", read.flag(`${zero}.overlap_comm`), `${zero}.overlap_comm`);
  set("reduceBucketElements", read.count(`${zero}.reduce_bucket_size`), `${zero}.reduce_bucket_size`);
  set(
    "liveGatherElements",
    read.count(`${zero}.stage3_max_live_parameters`, 0) || undefined,
    `${zero}.stage3_max_live_parameters`,
  );
  const formats = { fp32: "fp32", fp16: "fp16", bf16: "bf16", bfp16: "bf16" } as const;
  for (const [path, fact] of [
    ["communication_data_type", "gradReduceDtype"],
    ["data_types.grad_accum_dtype", "gradDtype"],
  ] as const) {
    const written = read.text(path);
    if (written === undefined) continue;
    const format = formats[written as keyof typeof formats];
    if (format === undefined) out.error(read.place(path), `${path} takes fp32, fp16 or bf16, not "${written}"`);
    set(fact, format, path);
  }
}
