// torchtitan: a job as a Python config function (main) and as a TOML job file (up to v0.2.2). main removed TOML on
// 2026-02-23; the two differ in how they count the batch and in how recompute is named.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import { torchSchedules } from "../../parallel/software/engines/torchtitan.ts";
import { titanSplit } from "../../parallel/software/engines/torchtitanSplit.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { assert } from "../../units/errors.ts";
import type { EngineExport, EngineFormat } from "./contract.ts";
import { jobLine } from "./jobLine.ts";
import { type SoftwareFact, untoldNote } from "./softwareFacts.ts";
import { stageCounts } from "./stageSplit.ts";
import { eagerPreset, preset, type TitanModel, titanModels } from "./torchtitanNames.ts";
import { importTitan } from "./torchtitanRead.ts";

const { title, target } = engineFacts("torchtitan");

export const torchtitanFormat: EngineFormat = { engine: "torchtitan", exportSpec, importText: importTitan };

function exportSpec(spec: ResolvedSpec): EngineExport {
  const model = modelOf(spec);
  const home = spec.software.compiled ? preset : eagerPreset;
  const { strategy, software } = spec;
  const told = new Set<SoftwareFact>(["compiled"]);
  // Whole steps are captured, and only without a pipeline.
  if (software.cudaGraphs === "none" || (software.cudaGraphs === "full" && strategy.pp === 1)) told.add("cudaGraphs");
  if (strategy.precision !== "fp32" && /^(fp32|bf16)$/.test(software.gradReduceDtype)) told.add("gradReduceDtype");
  return {
    engine: "torchtitan",
    targetVersion: target,
    files: [
      { path: "torchtitan_job.py", text: pythonFile(spec, model.titan) },
      { path: "torchtitan_job.toml", text: tomlFile(spec, model.titan) },
    ],
    program: ["-m", "torchtitan.train", "--module", "torchtitan_job", "--config", "job"],
    environment: {},
    notes: [
      "torchtitan_job.py is for torchtitan's main; torchtitan_job.toml holds the same job for v0.2.2 and older (run_train.sh with CONFIG_FILE)",
      "Data set, tokenizer, learning rate and the number of steps are those of the configuration it starts from",
      ...(model.isKnown
        ? []
        : [
            `torchtitan ships no flavour of "${spec.model.name}" that is known here: ${model.titan.config} of ${model.titan.module} stands for one to register`,
          ]),
      ...(spec.strategy.routing.kind !== "balanced" && spec.model.layerKinds.some(({ ffn }) => ffn.kind === "moe")
        ? [`How tokens choose experts (routing ${spec.strategy.routing.kind}) is assumed, not set`]
        : []),
      ...untoldNote(title, spec, home, told),
    ],
  };
}

function modelOf({ model }: ResolvedSpec): { readonly titan: TitanModel; readonly isKnown: boolean } {
  const known = titanModels[model.name];
  if (known !== undefined) return { titan: known, isKnown: true };
  const slug = model.name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^(\d)/, "m$1")
    .replace(/^_+|_+$/g, "");
  const name = slug === "" ? "model" : slug;
  return { titan: { module: name, flavor: model.name.replace(/["\\\n]/g, ""), config: name }, isKnown: false };
}

/** Fields of [parallelism] that both kinds share. */
function parallelism(spec: ResolvedSpec): readonly (readonly [string, string | number])[] {
  const { strategy, model } = spec;
  const { tp, cp, pp, ep, dp, sharding, shardGroup } = strategy;
  const isSharded = sharding !== "none" && dp * cp > 1;
  const shard = isSharded ? shardGroup / cp : 1;
  const fields: (readonly [string, string | number])[] = [
    ["data_parallel_replicate_degree", dp / shard],
    ["data_parallel_shard_degree", shard],
    ["fsdp_reshard_after_forward", isSharded && !strategy.reshardAfterForward ? "never" : "always"],
    ["tensor_parallel_degree", tp],
    ["context_parallel_degree", cp],
    ["pipeline_parallel_degree", pp],
    ["expert_parallel_degree", ep],
  ];
  if (pp === 1) return fields;
  const split = titanSplit(stageCounts(strategy, model.layers.length), {
    numLayers: model.layers.length,
    pp,
    numChunks: strategy.numChunks,
  });
  assert(split !== null, `stages of ${strategy.pp} x ${strategy.numChunks} pass engineRefusals but cannot be written`);
  fields.push(
    ["pipeline_parallel_schedule", torchSchedules[strategy.schedule]!],
    ["pipeline_parallel_first_stage_less_layers", split.first],
    ["pipeline_parallel_last_stage_less_layers", split.last],
  );
  if (split.perStage !== null) fields.push(["pipeline_parallel_layers_per_stage", split.perStage]);
  return fields;
}

function numMicroBatches({ strategy, workload }: ResolvedSpec): number {
  return workload.globalBatch / (strategy.microBatch * strategy.dp);
}

function mixedPrecision({ strategy, software }: ResolvedSpec): readonly (readonly [string, string])[] {
  const isFull = strategy.precision === "fp32";
  return [
    ["mixed_precision_param", isFull ? "float32" : "bfloat16"],
    ["mixed_precision_reduce", isFull || software.gradReduceDtype !== "bf16" ? "float32" : "bfloat16"],
  ];
}

function pythonFile(spec: ResolvedSpec, model: TitanModel): string {
  const { strategy, workload, software } = spec;
  const { kind } = strategy.recompute;
  const isFp8 = strategy.precision === "fp8";
  const lines: string[] = [
    `# ${target}: torchrun ... -m torchtitan.train --module torchtitan_job --config job`,
    `# ${jobLine(spec)}`,
  ];
  if (isFp8) lines.push("from torchtitan.components.quantization.float8 import Float8LinearConverter");
  if (kind !== "none")
    lines.push(
      `from torchtitan.distributed.activation_checkpoint import ${kind === "full" ? "FullAC" : "SelectiveAC"}`,
    );
  if (isFp8) lines.push(`from torchtitan.models.${model.module} import model_registry`);
  lines.push(
    `from torchtitan.models.${model.module}.config_registry import ${model.config}`,
    "from torchtitan.trainer import Trainer",
    "",
    "",
  );
  const set = (key: string, value: string | number | boolean) =>
    lines.push(
      `    config.${key} = ${typeof value === "string" ? JSON.stringify(value) : typeof value === "boolean" ? (value ? "True" : "False") : value}`,
    );
  lines.push("def job() -> Trainer.Config:", `    config = ${model.config}()`);
  for (const [key, value] of parallelism(spec)) set(`parallelism.${key}`, value);
  set("parallelism.enable_sequence_parallel", true);
  if (strategy.pp > 1) set("parallelism.num_pp_microbatches", numMicroBatches(spec));
  set("training.max_context_length", workload.seqLen);
  set("training.num_tokens_per_microbatch_per_dp_rank", strategy.microBatch * workload.seqLen);
  set("training.num_tokens_per_train_step", workload.globalBatch * workload.seqLen);
  for (const [key, value] of mixedPrecision(spec)) set(`training.${key}`, value);
  // Graphs of a pipelined step are not captured.
  set("training.disable_cuda_graphs", software.cudaGraphs !== "full" || strategy.pp > 1);
  lines.push(
    `    config.activation_checkpoint = ${kind === "full" ? "FullAC.Config()" : kind === "ops" ? "SelectiveAC.Config()" : "None"}`,
  );
  set("compile.enable", software.compiled);
  if (isFp8)
    lines.push(
      `    config.model_spec = model_registry(${JSON.stringify(model.flavor)}, converters=[Float8LinearConverter.Config(model_compile_enabled=${software.compiled ? "True" : "False"})])`,
    );
  lines.push("    return config");
  return `${lines.join("\n")}\n`;
}

function tomlFile(spec: ResolvedSpec, model: TitanModel): string {
  const { strategy, workload, software } = spec;
  const { kind } = strategy.recompute;
  const isPipelined = strategy.pp > 1;
  const lines: string[] = [];
  const section = (
    name: string,
    fields: readonly (readonly [string, string | number | boolean | readonly string[]])[],
  ) => lines.push("", `[${name}]`, ...fields.map(([key, value]) => `${key} = ${JSON.stringify(value)}`));
  lines.push("# torchtitan v0.2.2 (job files in TOML ended with it)", `# ${jobLine(spec)}`);
  section("model", [
    ["name", model.module],
    ["flavor", model.flavor],
    ["converters", strategy.precision === "fp8" ? ["quantize.linear.float8"] : []],
  ]);
  section("training", [
    // A pipeline cuts the local batch into micro-batches; without one, the rest of the global batch is accumulated.
    ["local_batch_size", isPipelined ? strategy.microBatch * numMicroBatches(spec) : strategy.microBatch],
    ["global_batch_size", workload.globalBatch],
    ["seq_len", workload.seqLen],
    // v0.2.2 reduces in float32 only.
    ...mixedPrecision(spec).slice(0, 1),
  ]);
  section("parallelism", [
    ...parallelism(spec),
    ...(strategy.ep > 1 ? [["expert_tensor_parallel_degree", 1] as const] : []),
    ...(isPipelined ? [["pipeline_parallel_microbatch_size", strategy.microBatch] as const] : []),
    ["enable_async_tensor_parallel", software.tpOverlap === "userBuffers" && strategy.tp > 1],
  ]);
  section("activation_checkpoint", [
    ["mode", kind === "full" ? "full" : kind === "ops" ? "selective" : "none"],
    ...(kind === "ops" ? [["selective_ac_option", "op"] as const] : []),
  ]);
  section("compile", [["enable", software.compiled]]);
  return `${lines.join("\n")}\n`;
}
