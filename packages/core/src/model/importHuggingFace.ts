// A Hugging Face `config.json` (already parsed) becomes a ModelSpec. The `model_type` picks the importer; an unknown
// one, a missing field or an impossible number is refused by name, all findings at once.

import { InputError, nearestName } from "../units/errors.ts";
import { ConfigReader, isRecord } from "./configReader.ts";
import { importers } from "./importers/registry.ts";
import type { ModelSpec } from "./types.ts";

export interface ImportOptions {
  /** Name of the model in reports; by default the config's `_name_or_path` or its model type. */
  readonly name?: string;
}

/** Imports a config of any architecture in the registry; throws InputError with all findings. */
export function importHuggingFace(config: unknown, options: ImportOptions = {}): ModelSpec {
  if (!isRecord(config)) {
    throw new InputError({
      path: "",
      message: "A model config must be an object",
      hint: "give the contents of config.json",
    });
  }
  const modelType = modelTypeOf(config);
  const importer = importers.get(modelType);
  if (importer === undefined) throw unknownType(modelType);
  const reader = new ConfigReader(config);
  const stated = config["_name_or_path"];
  const name = options.name ?? (typeof stated === "string" && stated !== "" ? stated : modelType);
  const model = importer(reader, name, modelType);
  reader.finish();
  return { ...model, notes: [...reader.notes, ...model.notes] };
}

/** The model types that can be imported, in alphabetical order. */
export function importableTypes(): readonly string[] {
  return [...importers.keys()].sort();
}

function modelTypeOf(config: Readonly<Record<string, unknown>>): string {
  const stated = config["model_type"];
  if (typeof stated === "string" && stated !== "") return stated;
  if (stated !== undefined && stated !== null) {
    throw new InputError({ path: "model_type", message: `"model_type" must be text, got ${JSON.stringify(stated)}` });
  }
  // Diffusers names a class; the original Mamba repository names nothing but has its own keys.
  const className = config["_class_name"];
  if (typeof className === "string") return className;
  if (isRecord(config["ssm_cfg"])) return "mamba_ssm";
  const architecture = Array.isArray(config["architectures"]) ? config["architectures"][0] : undefined;
  const guessed = typeof architecture === "string" ? typeOfArchitecture(architecture) : undefined;
  if (guessed !== undefined) return guessed;
  throw new InputError({
    path: "model_type",
    message: `Missing required field "model_type"`,
    hint: "it names the architecture, such as llama or mixtral",
  });
}

/** `LlamaForCausalLM` -> `llama`, when the registry has it. */
function typeOfArchitecture(architecture: string): string | undefined {
  const stem = architecture.replace(/(For[A-Z]\w*|LMHeadModel|Model)$/, "").toLowerCase();
  return [...importers.keys()].find((type) => type.replaceAll("_", "").toLowerCase() === stem);
}

function unknownType(modelType: string): InputError {
  const near = nearestName(modelType, [...importers.keys()]);
  const hint =
    near === undefined ? "describe the model inline instead (layers, hidden, heads, ...)" : `did you mean "${near}"`;
  return new InputError({ path: "model_type", message: `Unknown architecture "${modelType}"`, hint });
}
