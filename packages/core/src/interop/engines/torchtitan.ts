// torchtitan: a job as a Python config function (main) and as a TOML job file (up to v0.2.2), and either of them as a job. main removed TOML on
// 2026-02-23; the two differ in how they count the batch and in how recompute is named.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import { torchSchedules } from "../../parallel/software/engines/torchtitan.ts";
import { titanCounts, titanSplit } from "../../parallel/software/engines/torchtitanSplit.ts";
import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { assert, InputError } from "../../units/errors.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { jobLine } from "./jobLine.ts";
import { readPython } from "./pythonText.ts";
import { type Setting, Settings } from "./settings.ts";
import { fieldName, type SoftwareFact, untoldNote } from "./softwareFacts.ts";
import { splitFields, stageCounts } from "./stageSplit.ts";
import { readToml } from "./tomlText.ts";
import { checkTitan } from "./torchtitanChecks.ts";
import { type TitanModel, titanModels } from "./torchtitanNames.ts";

const preset = "torchtitan-2025";
const eagerPreset = "torchtitan-eager";
const { title, target } = engineFacts("torchtitan");

export const torchtitanFormat: EngineFormat = { engine: "torchtitan", exportSpec, importText };

function exportSpec(spec: ResolvedSpec): EngineExport {
  const model = modelOf(spec);
  const home = spec.software.compiled ? preset : eagerPreset;
  const told = new Set<SoftwareFact>(["compiled", "cudaGraphs"]);
  if (spec.strategy.precision !== "fp32") told.add("gradReduceDtype");
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
  set("training.disable_cuda_graphs", software.cudaGraphs === "none" || strategy.pp > 1);
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

// --- Reading ---------------------------------------------------------------------------------------------------------------------------------------

export function isTitanPython(text: string): boolean {
  return /torchtitan/.test(text) && /^\s*(def |from |import )/m.test(text);
}

function importText(text: string, hints: ImportHints): EngineImport {
  const isPython = isTitanPython(text);
  let read: ReadonlyMap<string, Setting>;
  let isCompiled = false;
  const python = isPython ? readPython(text) : null;
  read = python === null ? readToml(text) : python.settings;
  if (![...read.keys()].some((key) => /^(parallelism|training)\./.test(key)))
    throw new InputError({
      path: "",
      message: "The file holds no torchtitan configuration",
      hint: "it sets nothing of parallelism and training",
    });
  isCompiled = read.get("compile.enable")?.value === true || read.get("training.compile")?.value === true;
  const out = new ImportBuilder("torchtitan", isCompiled ? preset : eagerPreset);
  for (const { key, line, text: expression } of python?.unread ?? [])
    if (/^(parallelism|training)\./.test(key))
      out.warn({ line, at: key }, `Cannot read "${expression.slice(0, 60)}": only plain values are`);
  const settings = new Settings(read, out);
  checkTitan(settings, { isPython, hints, out });
  readParallelism(settings, { isPython, hints }, out);
  readBatch(settings, { isPython, hints }, out);
  readRecompute(settings, isPython, out);
  readFormats(settings, { isPython, text, isCompiled }, out);
  return out.build();
}

interface Context {
  readonly isPython: boolean;
  readonly hints: ImportHints;
}

const scheduleOf = new Map(Object.entries(torchSchedules).map(([ours, theirs]) => [theirs.toLowerCase(), ours]));
const singleStage: ReadonlySet<string> = new Set(["1f1b", "gpipe"]);

function readParallelism(settings: Settings, { isPython, hints }: Context, out: ImportBuilder): void {
  const key = (name: string) => `parallelism.${name}`;
  const size = (name: string) => settings.count(key(name)) ?? 1;
  const set = (field: string, value: unknown, name: string) =>
    out.set(`strategy.${field}`, value, settings.place(key(name)));
  const tp = size("tensor_parallel_degree");
  const cp = size("context_parallel_degree");
  const pp = size("pipeline_parallel_degree");
  const ep = size("expert_parallel_degree");
  set("tp", tp, "tensor_parallel_degree");
  set("cp", cp, "context_parallel_degree");
  set("pp", pp, "pipeline_parallel_degree");
  set("ep", ep, "expert_parallel_degree");
  set(
    "sequence_parallel",
    tp > 1 && settings.flag(key("enable_sequence_parallel")) !== false,
    "enable_sequence_parallel",
  );
  const etp =
    isPython || !settings.has(key("expert_tensor_parallel_degree"))
      ? ep > 1
        ? 1
        : tp
      : size("expert_tensor_parallel_degree");
  const hasExperts = hints.model?.layerKinds.some(({ ffn }) => ffn.kind === "moe") ?? ep > 1;
  if (hasExperts) set("etp", ep > 1 ? etp : tp, "expert_tensor_parallel_degree");
  const replicate = size("data_parallel_replicate_degree");
  const written = settings.count(key("data_parallel_shard_degree"), -1) ?? -1;
  const devices = hints.cluster?.numDevices;
  const rest = devices === undefined ? undefined : devices / (replicate * cp * tp * pp);
  const shard = written > 0 ? written : rest !== undefined && Number.isInteger(rest) ? rest : undefined;
  if (shard !== undefined) {
    // Stated degrees give data parallelism; its product with the rest must be the cluster.
    if (written > 0) set("dp", replicate * shard, "data_parallel_shard_degree");
    const group = shard * cp;
    set("sharding", group > 1 ? "zero3" : "none", "data_parallel_shard_degree");
    if (group > 1) {
      set("shard_group", group, "data_parallel_shard_degree");
      const policy = settings.choice(key("fsdp_reshard_after_forward"), ["default", "always", "never"]) ?? "default";
      set(
        "reshard_after_forward",
        policy === "always" || (policy === "default" && pp === 1),
        "fsdp_reshard_after_forward",
      );
    }
  }
  if (pp > 1) readStages(settings, pp, hints, out);
  else {
    out.set("strategy.schedule", "1f1b");
    out.set("strategy.chunks", 1);
  }
}

function readStages(settings: Settings, pp: number, hints: ImportHints, out: ImportBuilder): void {
  const key = (name: string) => `parallelism.${name}`;
  const at = settings.place(key("pipeline_parallel_schedule"));
  const name = settings.text(key("pipeline_parallel_schedule")) ?? "1F1B";
  const schedule = scheduleOf.get(name.toLowerCase());
  if (schedule === undefined)
    out.error(
      at,
      name === "InterleavedZeroBubble"
        ? "InterleavedZeroBubble is not priced: there is no such schedule here"
        : `Unknown schedule "${name}"`,
      `known are ${[...Object.values(torchSchedules)].join(", ")}`,
    );
  else out.set("strategy.schedule", schedule, at);
  const isSingle = schedule === undefined || singleStage.has(schedule);
  const numLayers = hints.model?.layers.length;
  const first = settings.count(key("pipeline_parallel_first_stage_less_layers"), 0) ?? 1;
  const last = settings.count(key("pipeline_parallel_last_stage_less_layers"), 0) ?? 1;
  const listed =
    settings.raw(key("module_fqns_per_model_part")) ??
    settings.raw(key("pipeline_parallel_module_fqns_per_model_part"));
  const perStage = settings.count(key("pipeline_parallel_layers_per_stage"));
  const perStageAt = settings.place(key("pipeline_parallel_layers_per_stage"));
  let numChunks = isSingle ? 1 : 2;
  let counts: readonly number[] | undefined;
  if (Array.isArray(listed) && listed.every(Array.isArray)) {
    counts = listed.map((part) => part.filter((module) => /(^|\.)layers\.\d+$/.test(String(module))).length);
    if (counts.length % pp !== 0)
      out.error(
        settings.place(key("module_fqns_per_model_part")),
        `${counts.length} model parts are not a multiple of the ${pp} pipeline ranks`,
      );
    numChunks = Math.max(1, Math.floor(counts.length / pp));
  } else if (perStage !== undefined && numLayers !== undefined) {
    const numStages = Math.ceil((numLayers + first + last) / perStage);
    if (numStages % pp !== 0)
      out.error(
        perStageAt,
        `${numLayers} layers in stages of ${perStage} are ${numStages} stages, which ${pp} pipeline ranks do not divide`,
      );
    numChunks = Math.max(1, Math.floor(numStages / pp));
    if (isSingle && numChunks > 1)
      out.error(perStageAt, `Schedule ${name} takes one stage a rank, ${perStage} layers per stage make ${numChunks}`);
  }
  out.set("strategy.chunks", numChunks, perStageAt ?? at);
  if (numLayers === undefined) return;
  counts ??= titanCounts(numLayers, pp * numChunks, { first, last });
  if (counts.length !== pp * numChunks || counts.some((n) => n < 0)) return;
  const fields = splitFields(counts, { numLayers, pp, numChunks });
  if (fields.stage_layers !== undefined) out.set("strategy.stage_layers", fields.stage_layers, perStageAt ?? at);
  if (fields.balance_embedding === true) out.set("strategy.balance_embedding", true, perStageAt ?? at);
}

function readBatch(settings: Settings, { isPython, hints }: Context, out: ImportBuilder): void {
  const pp = settings.count("parallelism.pipeline_parallel_degree") ?? 1;
  const ranks =
    (settings.count("parallelism.tensor_parallel_degree") ?? 1) *
    (settings.count("parallelism.context_parallel_degree") ?? 1) *
    pp;
  const dp = hints.cluster === undefined ? undefined : hints.cluster.numDevices / ranks;
  const known = dp !== undefined && Number.isInteger(dp) ? dp : undefined;
  if (!isPython) {
    const seqLen = settings.count("training.seq_len");
    if (seqLen !== undefined) out.set("workload.seq", seqLen, settings.place("training.seq_len"));
    const local = settings.count("training.local_batch_size");
    const micro = pp > 1 ? (settings.count("parallelism.pipeline_parallel_microbatch_size") ?? 1) : local;
    const at = settings.place(pp > 1 ? "parallelism.pipeline_parallel_microbatch_size" : "training.local_batch_size");
    if (micro !== undefined) out.set("strategy.micro_batch", micro, at ?? settings.place("training.local_batch_size"));
    const written = settings.count("training.global_batch_size", -1) ?? -1;
    if (written > 0) out.set("workload.global_batch", written, settings.place("training.global_batch_size"));
    else if (local !== undefined && known !== undefined)
      out.set("workload.global_batch", local * known, settings.place("training.local_batch_size"));
    return;
  }
  const seqLen = settings.count("training.max_context_length");
  if (seqLen === undefined) return;
  out.set("workload.seq", seqLen, settings.place("training.max_context_length"));
  const tokens = settings.count("training.num_tokens_per_microbatch_per_dp_rank");
  const place = settings.place("training.num_tokens_per_microbatch_per_dp_rank");
  if (tokens !== undefined) {
    if (tokens % seqLen === 0) out.set("strategy.micro_batch", tokens / seqLen, place);
    else out.error(place, `${tokens} tokens of a micro-batch are no whole number of sequences of ${seqLen}`);
  }
  const perStep = settings.count("training.num_tokens_per_train_step", -1) ?? -1;
  const stepPlace = settings.place("training.num_tokens_per_train_step");
  if (perStep > 0) {
    if (perStep % seqLen === 0) out.set("workload.global_batch", perStep / seqLen, stepPlace);
    else out.error(stepPlace, `${perStep} tokens of a step are no whole number of sequences of ${seqLen}`);
  } else if (tokens !== undefined && known !== undefined && tokens % seqLen === 0)
    out.set(
      "workload.global_batch",
      (tokens / seqLen) * known * (pp > 1 ? (settings.count("parallelism.num_pp_microbatches") ?? 1) : 1),
      place,
    );
}

function readRecompute(settings: Settings, isPython: boolean, out: ImportBuilder): void {
  const set = (value: unknown, key: string) => out.set("strategy.recompute", value, settings.place(key));
  if (isPython) {
    const written = settings.raw("activation_checkpoint");
    const name = typeof written === "string" ? written : "";
    if (/FullAC/.test(name)) set({ kind: "full" }, "activation_checkpoint");
    else if (/SelectiveAC/.test(name)) set("ops", "activation_checkpoint");
    else {
      set("none", "activation_checkpoint");
      if (/AC/.test(name))
        out.warn(settings.place("activation_checkpoint"), `${name} is not priced: taken as no recompute`);
    }
    return;
  }
  const mode =
    settings.choice("activation_checkpoint.mode", ["none", "selective", "full", "memory_budget"]) ?? "selective";
  const place = settings.place("activation_checkpoint.mode");
  if (mode === "full") set({ kind: "full" }, "activation_checkpoint.mode");
  else if (mode === "selective") {
    const option = settings.raw("activation_checkpoint.selective_ac_option") ?? "2";
    set("ops", "activation_checkpoint.mode");
    if (option !== "op")
      out.warn(
        settings.place("activation_checkpoint.selective_ac_option") ?? place,
        `Recompute of every ${option}. layer is priced as the per-op policy`,
      );
  } else {
    set("none", "activation_checkpoint.mode");
    if (mode === "memory_budget") out.warn(place, "A memory budget is not priced: taken as no recompute");
  }
}

function readFormats(
  settings: Settings,
  p: { readonly isPython: boolean; readonly text: string; readonly isCompiled: boolean },
  out: ImportBuilder,
): void {
  const parameters = settings.choice("training.mixed_precision_param", ["bfloat16", "float32"]) ?? "bfloat16";
  const converters = settings.raw("model.converters");
  const isFp8 = p.isPython
    ? /Float8LinearConverter\.Config/.test(p.text)
    : Array.isArray(converters) && converters.some((each) => /float8/.test(String(each)));
  const place = settings.place(isFp8 ? "model.converters" : "training.mixed_precision_param");
  out.set("strategy.precision", isFp8 ? "fp8" : parameters === "float32" ? "fp32" : "bf16", place);
  const home = softwarePreset(p.isCompiled ? preset : eagerPreset);
  const set = <Fact extends SoftwareFact>(fact: Fact, value: Software[Fact], key: string) => {
    if (value !== home[fact]) out.set(`software.${fieldName(fact)}`, value, settings.place(key));
  };
  const reduce = settings.choice("training.mixed_precision_reduce", ["bfloat16", "float32"]) ?? "float32";
  set("gradReduceDtype", reduce === "bfloat16" ? "bf16" : "fp32", "training.mixed_precision_reduce");
  if (settings.flag("parallelism.enable_async_tensor_parallel") === true)
    set("tpOverlap", "userBuffers", "parallelism.enable_async_tensor_parallel");
  if (p.isPython && settings.flag("training.disable_cuda_graphs") === false)
    set("cudaGraphs", "full", "training.disable_cuda_graphs");
  const optimizer = settings.text("optimizer.name");
  if (optimizer !== undefined && !/adam/i.test(optimizer))
    out.warn(settings.place("optimizer.name"), `Optimizer "${optimizer}" is priced as AdamW`);
  out.set("strategy.optimizer", "adamw");
  if (settings.flag("training.enable_cpu_offload") === true) {
    out.set("strategy.offload_optimizer", true, settings.place("training.enable_cpu_offload"));
    out.warn(
      settings.place("training.enable_cpu_offload"),
      "Offload of parameters and gradients is priced as offload of the optimizer state",
    );
  }
}
