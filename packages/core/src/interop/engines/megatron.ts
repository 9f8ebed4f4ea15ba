// Megatron-LM: a job as the arguments of pretrain_gpt.py (or pretrain_hybrid.py), and a launch script or list of arguments as a job.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { InputError } from "../../units/errors.ts";
import { shellWord } from "../launch/quoting.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { FlagReader, type FlagTable } from "./flagReader.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { jobLine } from "./jobLine.ts";
import { findCommand } from "./launchCommand.ts";
import { checkEnvironment, checkMegatron } from "./megatronChecks.ts";
import { megatronFlags, oldMegatronFlags } from "./megatronFlags.ts";
import { type Argument, isHybrid, modelArguments } from "./megatronModel.ts";
import { compareModel } from "./megatronModelCheck.ts";
import { readModel } from "./megatronModelRead.ts";
import { readMegatronStrategy } from "./megatronRead.ts";
import { readSoftwareFlags, softwareArguments } from "./megatronSoftware.ts";
import { type ArgumentGroup, strategyGroups, usesFsdp } from "./megatronStrategy.ts";
import { readShell } from "./shellText.ts";
import { untoldNote } from "./softwareFacts.ts";

const preset = "megatron-lm-2025";
const { title, target } = engineFacts("megatron");

export const megatronFormat: EngineFormat = { engine: "megatron", exportSpec, importText };

function exportSpec(spec: ResolvedSpec): EngineExport {
  const { model, workload } = spec;
  const software = softwareArguments(spec);
  const positions = Math.max(workload.seqLen, model.learnedPositions);
  const program = isHybrid(model) ? "pretrain_hybrid.py" : "pretrain_gpt.py";
  const groups: readonly ArgumentGroup[] = [
    { title: "Model", args: modelArguments(model, positions) },
    ...strategyGroups(spec),
    { title: "Overlap and kernels", args: software.args },
    { title: "Data and training: yours to replace", args: trainingArguments(spec) },
  ];
  return {
    engine: "megatron",
    targetVersion: target,
    files: [{ path: "megatron-args.sh", text: argumentFile(spec, program, groups) }],
    program: [program, ...groups.flatMap(({ args }) => args).flatMap(words)],
    environment: environmentOf(spec),
    notes: [
      "Data, tokenizer, learning rate and the number of iterations are stand-ins: training on mock data",
      ...modelNotes(spec),
      ...untoldNote(title, spec, preset, software.told),
    ],
  };
}

function words([name, ...values]: Argument): readonly string[] {
  return [`--${name}`, ...values];
}

function argumentFile(spec: ResolvedSpec, program: string, groups: readonly ArgumentGroup[]): string {
  const lines = [
    "#!/bin/bash",
    `# ${target}: arguments of ${program}`,
    `# ${jobLine(spec)}`,
    "",
    "MEGATRON_ARGS=(",
    ...groups.flatMap((group) => [
      `  # ${group.title}`,
      ...group.args.map((arg) => `  ${words(arg).map(shellWord).join(" ")}`),
    ]),
    ")",
  ];
  return `${lines.join("\n")}\n`;
}

/** Enough to run on made-up data. */
function trainingArguments({ model }: ResolvedSpec): readonly Argument[] {
  return [
    ["mock-data"],
    ["tokenizer-type", "NullTokenizer"],
    // A NullTokenizer adds the end of a document.
    ["vocab-size", String(model.vocab - 1)],
    ["train-iters", "100"],
    ["lr", "1e-4"],
    ["lr-decay-style", "constant"],
    ["log-interval", "1"],
    ["eval-iters", "0"],
  ];
}

/** Up to Hopper, kernels of compute and communication must be launched in one order; FSDP needs them free. */
export function environmentOf(spec: ResolvedSpec): Record<string, string> {
  const { strategy, cluster } = spec;
  const needsOrder = strategy.tp * strategy.cp > 1 && !usesFsdp(spec) && !/blackwell|rubin/i.test(cluster.device.arch);
  return needsOrder ? { CUDA_DEVICE_MAX_CONNECTIONS: "1" } : {};
}

function modelNotes(spec: ResolvedSpec): readonly string[] {
  const { model } = spec;
  const notes: string[] = [...routingNotes(spec)];
  const odd = model.layerKinds.find(({ ffn }) => ffn.kind !== "none" && !hasActivationFlag(ffn));
  if (odd !== undefined && odd.ffn.kind !== "none")
    notes.push(
      `There is no flag for ${odd.ffn.gated ? "gated " : ""}${odd.ffn.activation}: Megatron-LM runs ${odd.ffn.gated ? "SwiGLU" : "gelu"} at the same sizes`,
    );
  if (model.position === "rope")
    notes.push(
      "The rotary base is not among a model's facts here: --rotary-base is yours to set (10000 when left out)",
    );
  const extra = model.layerKinds.reduce(
    (sum, { mixer }) => sum + (mixer.kind === "attention" || mixer.kind === "mla" ? mixer.extraParams : 0),
    0,
  );
  if (extra > 0)
    notes.push(
      `Attention of "${model.name}" has trainable numbers beyond its projections (sinks and the like), which are yours to set`,
    );
  if (differsInRope(model)) notes.push("Layers without rotary positions (--no-rope-freq) are yours to set");
  if (model.extraParams > 0)
    notes.push(
      `The flags describe the language model of "${model.name}" alone${model.extraNote === undefined ? "" : `, without ${model.extraNote}`}`,
    );
  return notes;
}

function hasActivationFlag({ gated, activation }: { readonly gated: boolean; readonly activation: string }): boolean {
  return (gated ? ["silu", "quick_gelu"] : ["gelu", "relu2"]).includes(activation);
}

function differsInRope({ layerKinds }: ResolvedSpec["model"]): boolean {
  const ropes = layerKinds.flatMap(({ mixer }) => (mixer.kind === "attention" ? [mixer.rope] : []));
  return new Set(ropes).size > 1;
}

/** What Megatron-Core does otherwise than the strategy says, without an option for it. */
export function routingNotes({ model, strategy }: ResolvedSpec): readonly string[] {
  const notes: string[] = [];
  if (strategy.routing.kind !== "balanced" && model.layerKinds.some(({ ffn }) => ffn.kind === "moe"))
    notes.push(`How tokens choose experts (routing ${strategy.routing.kind}) is assumed, not set`);
  const { recompute } = strategy;
  if (
    recompute.kind === "selective" &&
    recompute.modules.includes("activation") &&
    model.layerKinds.some(({ ffn }) => ffn.kind === "dense")
  )
    notes.push("moe_act recomputes activations of expert layers only: dense layers keep theirs");
  return notes;
}

const megatronTable: FlagTable = {
  title,
  version: target,
  known: megatronFlags,
  old: oldMegatronFlags,
  label: (flag) => `--${flag}`,
};

function importText(text: string, hints: ImportHints): EngineImport {
  const out = new ImportBuilder("megatron", preset);
  const script = readShell(text);
  const command = findCommand(script);
  if (command.args.length === 0)
    throw new InputError({
      path: "",
      message: "The file holds no arguments of Megatron-LM",
      hint: "give a launch script, or a list such as --tensor-model-parallel-size 8 ...",
    });
  const flags = new FlagReader(command.args, megatronTable, out);
  const sizes = readMegatronStrategy(flags, hints, command.numDevices, out);
  const model = readModel(flags, out);
  if (model !== null) out.merge("model", model);
  if (hints.model !== undefined) compareModel(flags, hints.model, out);
  const experts =
    hints.model?.layerKinds.some(({ ffn }) => ffn.kind === "moe") ?? (flags.count("num-experts", 0) ?? 0) > 0;
  readSoftwareFlags(flags, { preset, absentIsDefault: true, precision: sizes.precision, hasExperts: experts }, out);
  const context = { flags, sizes, hints, out, name: (flag: string) => `--${flag}` };
  checkMegatron(context);
  if (command.program !== null) checkEnvironment(context, script.environment);
  return out.build(command.numDevices);
}
