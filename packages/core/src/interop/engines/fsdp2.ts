// PyTorch FSDP2: a job as one self-contained training script, whose settings stand as constants at its top; and such a script as a job.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import { softwarePreset } from "../../parallel/software/index.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { assert, InputError } from "../../units/errors.ts";
import { snakeCase } from "../../units/spelling.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { fsdp2Body, fsdp2Imports } from "./fsdp2Script.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { jobLine } from "./jobLine.ts";
import { readPython } from "./pythonText.ts";
import { Settings } from "./settings.ts";
import { type SoftwareFact, untoldNote } from "./softwareFacts.ts";

const preset = "pytorch-fsdp2";
const { title, target } = engineFacts("fsdp2");

export const fsdp2Format: EngineFormat = { engine: "fsdp2", exportSpec, importText };

type Constant = readonly [string, string | number | boolean];

function exportSpec(spec: ResolvedSpec): EngineExport {
  const told = new Set<SoftwareFact>(["compiled"]);
  if (spec.strategy.precision !== "fp32" && /^(fp32|bf16)$/.test(spec.software.gradReduceDtype))
    told.add("gradReduceDtype");
  return {
    engine: "fsdp2",
    targetVersion: target,
    files: [{ path: "train_fsdp2.py", text: scriptOf(spec) }],
    program: ["train_fsdp2.py"],
    environment: {},
    notes: [
      "The script trains on random tokens with a constant learning rate: batches() and the optimizer are yours to replace",
      ...(spec.model.position === "rope"
        ? ["The rotary base is not among a model's facts here: ROPE_BASE is yours to set"]
        : []),
      ...(spec.model.extraParams > 0 ? [`The script defines the language model of "${spec.model.name}" alone`] : []),
      ...untoldNote(title, spec, preset, told),
    ],
  };
}

function scriptOf(spec: ResolvedSpec): string {
  const groups: readonly (readonly [string, readonly Constant[]])[] = [
    ["Model", modelConstants(spec)],
    ["Job", jobConstants(spec)],
  ];
  const lines = [
    `# ${target}: torchrun ... train_fsdp2.py`,
    `# ${jobLine(spec)}`,
    fsdp2Imports,
    ...groups.flatMap(([name, constants]) => [
      `# ${name}`,
      ...constants.map(([key, value]) => `${key} = ${pythonValue(value)}`),
    ]),
  ];
  return `${lines.join("\n")}\n${fsdp2Body}`;
}

function pythonValue(value: string | number | boolean): string {
  return typeof value === "boolean" ? (value ? "True" : "False") : JSON.stringify(value);
}

function modelConstants({ model }: ResolvedSpec): readonly Constant[] {
  const { mixer, ffn, norm } = model.layerKinds[0]!;
  assert(model.layerKinds.length === 1, `"${model.name}" passes engineRefusals but has layers of several kinds`);
  assert(
    mixer.kind === "attention" && ffn.kind === "dense",
    `"${model.name}" passes engineRefusals but is no plain decoder`,
  );
  return [
    ["LAYERS", model.layers.length],
    ["HIDDEN", model.hidden],
    ["HEADS", mixer.heads],
    ["KV_HEADS", mixer.kvHeads],
    ["HEAD_DIM", mixer.headDim],
    ["QKV_BIAS", mixer.qkvBias],
    ["OUT_BIAS", mixer.outBias],
    ["QK_NORM", mixer.qkNorm === "perHead"],
    ["FFN", ffn.inner],
    ["GATED", ffn.gated],
    ["FFN_BIAS", ffn.bias],
    ["ACTIVATION", ffn.activation],
    ["NORM", norm],
    ["VOCAB", model.vocab],
    ["TIED", model.tiedEmbeddings],
    ["HEAD_BIAS", model.lmHeadBias],
    ["POSITIONS", model.position],
    ["LEARNED_POSITIONS", model.learnedPositions],
    ["ROPE_FRACTION", mixer.ropeFrac],
    ["ROPE_BASE", 500000],
  ];
}

function jobConstants({ strategy, workload, software }: ResolvedSpec): readonly Constant[] {
  const { dp, sharding, shardGroup, recompute } = strategy;
  const isSharded = sharding !== "none" && dp > 1;
  const shard = isSharded ? shardGroup : 1;
  return [
    ["SEQ_LEN", workload.seqLen],
    ["MICRO_BATCH", strategy.microBatch],
    ["GLOBAL_BATCH", workload.globalBatch],
    ["SHARD", shard],
    ["REPLICATE", dp / shard],
    ["RESHARD_AFTER_FORWARD", isSharded && sharding === "zero3" && strategy.reshardAfterForward],
    ["KEEP_GATHERED", isSharded && sharding === "zero2"],
    ["RECOMPUTE_EVERY", recompute.kind === "full" ? recompute.everyLayers : 0],
    ["OFFLOAD_ACTIVATIONS", strategy.offloadActivations],
    ["PARAM_DTYPE", strategy.precision === "fp32" ? "float32" : "bfloat16"],
    ["REDUCE_DTYPE", software.gradReduceDtype === "bf16" && strategy.precision !== "fp32" ? "bfloat16" : "float32"],
    ["OPTIMIZER", strategy.optimizer],
    ["COMPILE", software.compiled],
    ["STEPS", 20],
  ];
}

// --- Reading ---------------------------------------------------------------------------------------------------------------------------------------

export function isFsdp2Script(text: string): boolean {
  return /\bfully_shard\b/.test(text) && /^SHARD\s*=/m.test(text);
}

function importText(text: string, hints: ImportHints): EngineImport {
  const { settings: read } = readPython(text);
  if (!read.has("SHARD") || !read.has("MICRO_BATCH"))
    throw new InputError({
      path: "",
      message: "The file is not an FSDP2 script of this kind",
      hint: "settings such as SHARD, REPLICATE and MICRO_BATCH stand as constants at its top",
    });
  const out = new ImportBuilder("fsdp2", preset);
  const settings = new Settings(read, out);
  const shard = settings.count("SHARD") ?? 1;
  const replicate = settings.count("REPLICATE") ?? 1;
  const devices = hints.cluster?.numDevices;
  if (devices !== undefined && shard * replicate !== devices)
    out.error(
      settings.place("SHARD"),
      `SHARD x REPLICATE = ${shard} x ${replicate} = ${shard * replicate}, but there are ${devices} devices`,
    );
  for (const axis of ["tp", "cp", "pp", "ep"]) out.set(`strategy.${axis}`, 1);
  out.set("strategy.dp", shard * replicate, settings.place("SHARD"));
  const keeps = settings.flag("KEEP_GATHERED") === true;
  const sharding = shard === 1 ? "none" : keeps ? "zero2" : "zero3";
  out.set("strategy.sharding", sharding, settings.place(keeps ? "KEEP_GATHERED" : "SHARD"));
  if (shard > 1) out.set("strategy.shard_group", shard, settings.place("SHARD"));
  const reshards = settings.flag("RESHARD_AFTER_FORWARD") !== false;
  if (keeps && reshards)
    out.error(settings.place("KEEP_GATHERED"), "KEEP_GATHERED needs RESHARD_AFTER_FORWARD = False");
  if (sharding === "zero3")
    out.set("strategy.reshard_after_forward", reshards, settings.place("RESHARD_AFTER_FORWARD"));
  out.set("strategy.micro_batch", settings.count("MICRO_BATCH") ?? 1, settings.place("MICRO_BATCH"));
  const every = settings.count("RECOMPUTE_EVERY", 0) ?? 0;
  out.set(
    "strategy.recompute",
    every === 0 ? "none" : { kind: "full", every_layers: every },
    settings.place("RECOMPUTE_EVERY"),
  );
  if (settings.flag("OFFLOAD_ACTIVATIONS") === true)
    out.set("strategy.offload_activations", true, settings.place("OFFLOAD_ACTIVATIONS"));
  const parameters = settings.choice("PARAM_DTYPE", ["bfloat16", "float32"]) ?? "bfloat16";
  out.set("strategy.precision", parameters === "float32" ? "fp32" : "bf16", settings.place("PARAM_DTYPE"));
  out.set("strategy.optimizer", settings.choice("OPTIMIZER", ["adamw", "sgd"]) ?? "adamw", settings.place("OPTIMIZER"));
  const global = settings.count("GLOBAL_BATCH");
  if (global !== undefined) out.set("workload.global_batch", global, settings.place("GLOBAL_BATCH"));
  const seqLen = settings.count("SEQ_LEN");
  if (seqLen !== undefined) out.set("workload.seq", seqLen, settings.place("SEQ_LEN"));
  const home = softwarePreset(preset);
  const tell = (fact: SoftwareFact, value: unknown, key: string) => {
    if (value !== home[fact]) out.set(`software.${snakeCase(fact)}`, value, settings.place(key));
  };
  if (settings.has("REDUCE_DTYPE"))
    tell("gradReduceDtype", settings.text("REDUCE_DTYPE") === "bfloat16" ? "bf16" : "fp32", "REDUCE_DTYPE");
  tell("compiled", settings.flag("COMPILE") === true, "COMPILE");
  readModel(settings, out);
  return out.build();
}

function readModel(settings: Settings, out: ImportBuilder): void {
  const layers = settings.count("LAYERS");
  const hidden = settings.count("HIDDEN");
  const heads = settings.count("HEADS");
  const ffn = settings.count("FFN");
  if (layers === undefined || hidden === undefined || heads === undefined || ffn === undefined) return;
  const vocab = settings.count("VOCAB");
  const positions = settings.text("POSITIONS") ?? "rope";
  out.merge("model", {
    layers,
    hidden,
    heads,
    kv_heads: settings.count("KV_HEADS") ?? heads,
    head_dim: settings.count("HEAD_DIM") ?? Math.max(1, Math.floor(hidden / heads)),
    ffn,
    ffn_gated: settings.flag("GATED") === true,
    ...(settings.text("ACTIVATION") === "relu2" ? { squared_relu: true } : {}),
    ...(vocab === undefined ? {} : { vocab }),
    tied: settings.flag("TIED") === true,
    pos: positions,
    bias: settings.flag("FFN_BIAS") === true,
    qkv_bias: settings.flag("QKV_BIAS") === true,
    ...(settings.flag("QK_NORM") === true ? { qk_norm: true } : {}),
    ...(positions === "learned" ? { max_seq_len: settings.count("LEARNED_POSITIONS") } : {}),
  });
}
