// Megatron-Bridge (NeMo): a job as a recipe and overrides for run_recipe.py, and such a command line as a job. A recipe has defaults of its own, so
// everything that the strategy settles is stated, also where it is off.

import { engineFacts } from "../../parallel/software/engineLimits.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { InputError, nearestName } from "../../units/errors.ts";
import { shellWord } from "../launch/quoting.ts";
import { bridgeKeys, bridgePrecisions, bridgeRecipes, bridgeSections } from "./bridgeKeys.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { FlagReader } from "./flagReader.ts";
import { ImportBuilder } from "./importBuilder.ts";
import { jobLine } from "./jobLine.ts";
import { findCommand } from "./launchCommand.ts";
import { environmentOf, routingNotes } from "./megatron.ts";
import { checkEnvironment, checkMegatron } from "./megatronChecks.ts";
import { megatronFlags } from "./megatronFlags.ts";
import type { Argument } from "./megatronModel.ts";
import { readMegatronStrategy } from "./megatronRead.ts";
import { readSoftwareFlags, settledSwitches, softwareArguments } from "./megatronSoftware.ts";
import { strategyGroups } from "./megatronStrategy.ts";
import { readShell, type ShellWord } from "./shellText.ts";
import { type SoftwareFact, untoldNote } from "./softwareFacts.ts";

const preset = "megatron-bridge-2026";
const { title, target } = engineFacts("megatron-bridge");

export const megatronBridgeFormat: EngineFormat = { engine: "megatron-bridge", exportSpec, importText };

function exportSpec(spec: ResolvedSpec): EngineExport {
  const overrides = new Map<string, string>();
  const written = softwareArguments(spec);
  const told = new Set<SoftwareFact>(written.told);
  const groups = strategyGroups(spec);
  for (const [key, value] of stated(spec)) overrides.set(key, value);
  for (const { flag, stands } of settledSwitches(spec)) put(overrides, [flag, String(stands)]);
  overrides.set("mixed_precision", precisionName(spec));
  for (const argument of [...groups.flatMap(({ args }) => args), ...written.args]) {
    if (formatFlags.has(argument[0])) continue;
    if (bridgeKeys[argument[0]] !== undefined) put(overrides, argument);
    else if (argument[0].startsWith("exp-avg")) told.delete("optimizerStateDtype");
    else if (argument[0] === "fp8-param-gather") overrides.set("mixed_precision.fp8_param_gather", "true");
  }
  overrides.set("model.seq_length", overrides.get("dataset.seq_length")!);
  if (spec.strategy.offloadActivations) overrides.set("model.cpu_offloading", "true");
  const recipe = recipeName(spec);
  const args = [
    "--recipe",
    recipe.name,
    "--mode",
    "pretrain",
    ...[...overrides].map(([key, value]) => `${key}=${value}`),
  ];
  return {
    engine: "megatron-bridge",
    targetVersion: target,
    files: [{ path: "bridge-overrides.sh", text: overrideFile(spec, args) }],
    program: ["run_recipe.py", ...args],
    environment: environmentOf(spec),
    notes: [
      "Data, tokenizer, learning rate and the number of iterations are the recipe's",
      ...(recipe.isKnown
        ? []
        : [
            `No recipe of Megatron-Bridge for "${spec.model.name}" is known: ${recipe.name} is the name of one to write, around AutoBridge.from_hf_pretrained`,
          ]),
      ...routingNotes(spec),
      ...untoldNote(title, spec, preset, told),
    ],
  };
}

/** Options that `mixed_precision` stands for. */
const formatFlags: ReadonlySet<string> = new Set([
  "bf16",
  "fp16",
  "fp8-format",
  "fp8-recipe",
  "fp4-format",
  "fp4-recipe",
  "no-bias-gelu-fusion",
]);

function precisionName({ strategy, software }: ResolvedSpec): string {
  switch (strategy.precision) {
    case "fp32":
      return "null";
    case "bf16":
      return "bf16_mixed";
    case "fp16":
      return "fp16_mixed";
    case "fp8":
      return software.fp8Scaling === "delayed"
        ? "bf16_with_fp8_delayed_scaling_mixed"
        : "bf16_with_fp8_current_scaling_mixed";
    case "fp8_block":
      return "bf16_with_fp8_subchannel_scaling_mixed";
    case "mxfp8":
      return "bf16_with_mxfp8_mixed";
    case "nvfp4":
      return "bf16_with_nvfp4_mixed";
  }
}

/** What a recipe may have set and this job has not. */
function stated({ strategy }: ResolvedSpec): readonly (readonly [string, string])[] {
  return [
    ["model.sequence_parallel", "false"],
    ["model.virtual_pipeline_model_parallel_size", "null"],
    ["model.pipeline_model_parallel_layout", "null"],
    ["model.recompute_granularity", "null"],
    ["ddp.use_distributed_optimizer", "false"],
    ["ddp.use_megatron_fsdp", "false"],
    ["dist.use_tp_pp_dp_mapping", "false"],
    ...(strategy.tp > 1 ? ([["comm_overlap.tp_comm_overlap", "false"]] as const) : []),
    ["model.cross_entropy_loss_fusion", "false"],
  ];
}

function put(overrides: Map<string, string>, [flag, ...values]: Argument): void {
  const key = bridgeKeys[flag]!;
  const isOpposite = key.endsWith("=false");
  const name = key.replace(/=false$/, "");
  const [first] = values;
  const arity = megatronFlags.get(flag);
  if (arity === "switch") overrides.set(name, String((first !== "false") !== isOpposite));
  else if (arity === "list" && flag !== "cp-comm-type") overrides.set(name, `[${values.join(",")}]`);
  else overrides.set(name, first ?? "");
}

function recipeName({ model }: ResolvedSpec): { readonly name: string; readonly isKnown: boolean } {
  const known = bridgeRecipes[model.name];
  if (known !== undefined) return { name: known, isKnown: true };
  const slug = model.name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "_")
    .replace(/^_+|_+$/g, "");
  return { name: `${slug === "" ? "model" : slug}_pretrain_config`, isKnown: false };
}

function overrideFile(spec: ResolvedSpec, args: readonly string[]): string {
  const lines = [
    "#!/bin/bash",
    `# ${target}: arguments of run_recipe.py`,
    `# ${jobLine(spec)}`,
    "",
    "BRIDGE_ARGS=(",
    ...[args.slice(0, 2), args.slice(2, 4), ...args.slice(4).map((each) => [each])].map(
      (words) => `  ${words.map(shellWord).join(" ")}`,
    ),
    ")",
  ];
  return `${lines.join("\n")}\n`;
}

// --- Reading ---------------------------------------------------------------------------------------------------------------------------------------

interface FlagOfKey {
  readonly flag: string;
  readonly isOpposite: boolean;
}

const flagsOfKey = new Map<string, FlagOfKey[]>();
for (const [flag, key] of Object.entries(bridgeKeys)) {
  const name = key.replace(/=false$/, "");
  flagsOfKey.set(name, [...(flagsOfKey.get(name) ?? []), { flag, isOpposite: key.endsWith("=false") }]);
}

function importText(text: string, hints: ImportHints): EngineImport {
  const out = new ImportBuilder("megatron-bridge", preset);
  const script = readShell(text);
  const command = findCommand(script);
  const overrides = command.args.filter(({ text: word }) => /^[\w+~]+(\.\w+)*=/.test(word));
  if (overrides.length === 0)
    throw new InputError({
      path: "",
      message: "The file holds no overrides of Megatron-Bridge",
      hint: "give a command line such as run_recipe.py --recipe ... model.tensor_model_parallel_size=8",
    });
  const words = overrides.flatMap((word) => asFlags(word, out));
  const label = (flag: string) => (bridgeKeys[flag] ?? flag).replace(/=false$/, "");
  const flags = new FlagReader(words, { title, version: target, known: megatronFlags, old: {}, label }, out);
  const sizes = readMegatronStrategy(flags, hints, command.numDevices, out);
  const hasExperts = hints.model?.layerKinds.some(({ ffn }) => ffn.kind === "moe") ?? sizes.ep > 1;
  readSoftwareFlags(flags, { preset, absentIsDefault: false, precision: sizes.precision, hasExperts }, out);
  const context = { flags, sizes, hints, out, name: label };
  checkMegatron(context);
  if (command.program !== null) checkEnvironment(context, script.environment);
  return out.build(command.numDevices);
}

/** An override as the options it means; findings for those that mean nothing. */
function asFlags(word: ShellWord, out: ImportBuilder): ShellWord[] {
  const equals = word.text.indexOf("=");
  const key = word.text.slice(0, equals).replace(/^[+~]+/, "");
  const value = word.text.slice(equals + 1);
  const place = { line: word.line, at: key };
  const say = (text: string): ShellWord => ({ text, line: word.line, unresolved: null });
  if (key === "mixed_precision") return readPrecision(value, word, out);
  if (key === "mixed_precision.fp8_param_gather") return value === "true" ? [say("--fp8-param-gather")] : [];
  const means = flagsOfKey.get(key);
  if (means === undefined) {
    unknownKey(key, place, out);
    return [];
  }
  if (value === "null" || value === "None" || value === "") return [];
  return means.flatMap(({ flag, isOpposite }) => {
    const arity = megatronFlags.get(flag);
    if (arity === "switch") {
      const truth = /^(true|false)$/i.test(value) ? value.toLowerCase() === "true" : undefined;
      if (truth === undefined) {
        out.error(place, `${key} is true or false, not "${value}"`);
        return [];
      }
      return [say(`--${flag}=${truth !== isOpposite}`)];
    }
    if (arity !== "list") return [{ ...word, text: `--${flag}=${value.replace(/^(['"])(.*)\1$/, "$2")}` }];
    const items = value
      .replace(/^\[|\]$/g, "")
      .split(",")
      .map((item) => item.trim().replace(/^(['"])(.*)\1$/, "$2"));
    return [say(`--${flag}`), ...items.map(say)];
  });
}

function readPrecision(value: string, word: ShellWord, out: ImportBuilder): ShellWord[] {
  if (value === "null") return [];
  const options = bridgePrecisions[value];
  if (options === undefined) {
    const near = nearestName(value, Object.keys(bridgePrecisions));
    out.error(
      { line: word.line, at: "mixed_precision" },
      `Unknown mixed precision "${value}"`,
      near === undefined ? `use one of ${Object.keys(bridgePrecisions).join(", ")}` : `did you mean ${near}`,
    );
    return [];
  }
  return options.flatMap(([flag, ...values]) =>
    [`--${flag}`, ...values].map((text) => ({ text, line: word.line, unresolved: null })),
  );
}

/** Fields of the model config that are options of Megatron-LM too are known by those. */
function unknownKey(key: string, place: { readonly line: number; readonly at: string }, out: ImportBuilder): void {
  const [section = "", field = ""] = key.split(".");
  if (!bridgeSections.has(section)) {
    const near = nearestName(section, [...bridgeSections]);
    out.error(
      place,
      `A recipe has no section "${section}"`,
      near === undefined
        ? `sections are ${[...bridgeSections].slice(0, 12).join(", ")}`
        : `did you mean ${near}.${field}`,
    );
    return;
  }
  if (section !== "model" && section !== "ddp" && section !== "train") return;
  if (megatronFlags.has(field.replaceAll("_", "-"))) return;
  const near = nearestName(
    key,
    [...flagsOfKey.keys()].filter((each) => each.startsWith(`${section}.`)),
  );
  if (near !== undefined) out.error(place, `Unknown key ${key}`, `did you mean ${near}`);
}
