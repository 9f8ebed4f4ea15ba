// torchtitan's TOML job files and Python functions as a job.

import { torchSchedules } from "../../parallel/software/engines/torchtitan.ts";
import { titanCounts } from "../../parallel/software/engines/torchtitanSplit.ts";
import { softwarePreset } from "../../parallel/software/index.ts";
import type { Software } from "../../parallel/strategy.ts";
import { InputError } from "../../units/errors.ts";
import { snakeCase } from "../../units/spelling.ts";
import type { EngineImport, ImportHints } from "./contract.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { readPython } from "./pythonText.ts";
import { type Setting, Settings } from "./settings.ts";
import type { SoftwareFact } from "./softwareFacts.ts";
import { splitFields } from "./stageSplit.ts";
import { readToml } from "./tomlText.ts";
import { checkTitan } from "./torchtitanChecks.ts";
import { eagerPreset, preset } from "./torchtitanNames.ts";

export function isTitanPython(text: string): boolean {
  return /torchtitan/.test(text) && /^\s*(def |from |import )/m.test(text);
}

export function importTitan(text: string, hints: ImportHints): EngineImport {
  const isPython = isTitanPython(text);
  const python = isPython ? readPython(text) : null;
  const read: ReadonlyMap<string, Setting> = python === null ? readToml(text) : python.settings;
  if (![...read.keys()].some((key) => /^(parallelism|training)\./.test(key)))
    throw new InputError({
      path: "",
      message: "The file holds no torchtitan configuration",
      hint: "it sets nothing of parallelism and training",
    });
  const isCompiled = read.get("compile.enable")?.value === true || read.get("training.compile")?.value === true;
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
  if (numLayers === undefined || pp * numChunks > numLayers + 2) return;
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
    if (value !== home[fact]) out.set(`software.${snakeCase(fact)}`, value, settings.place(key));
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
