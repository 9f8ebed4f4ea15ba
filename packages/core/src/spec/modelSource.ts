// What `model:` may hold: a catalogue name, the path of a Hugging Face config.json (or of its folder, or of an inline description), or the
// facts themselves. A name of the catalogue wins over a file of the same name.

import { catalogueModel, catalogueNames, importModel } from "../model/index.ts";
import type { ModelSpec } from "../model/types.ts";
import { InputError, nearestName } from "../units/errors.ts";
import { isSection, quote } from "./sectionReader.ts";
import type { SpecSources } from "./types.ts";

export interface ModelContext {
  readonly sources: SpecSources;
  /** Sequence length of the run, for models with a learned position table that state none. */
  readonly seqLen?: number | undefined;
}

/** Throws InputError with paths under `model`. */
export function modelFromSource(value: unknown, context: ModelContext): ModelSpec {
  if (typeof value === "string") return modelFromName(value.trim(), context);
  if (isSection(value)) return modelFromFacts(value, undefined, context);
  throw new InputError({
    path: "model",
    message: `Expected a name, a file path or a description, got ${quote(value)}`,
  });
}

function modelFromName(name: string, context: ModelContext): ModelSpec {
  const known = catalogueModel(name);
  if (known !== undefined) return known;
  const loaded = context.sources.load(name);
  if (loaded !== undefined) {
    if (!isSection(loaded))
      throw new InputError({
        path: "model",
        message: `File "${name}" holds no model config`,
        hint: "it must be an object with fields",
      });
    return modelFromFacts(loaded, nameOfPath(name), context);
  }
  const near = nearestName(name, catalogueNames());
  const isPath = /[/\\]|\.(json|ya?ml)$/i.test(name);
  throw new InputError({
    path: "model",
    message: isPath ? `There is no file and no known model "${name}"` : `Unknown model "${name}"`,
    hint:
      near === undefined
        ? "list the catalogue with `meshwright models`, or give a config.json"
        : `did you mean "${near}"`,
  });
}

/** Hugging Face configs name their architecture; inline descriptions name plain facts. */
function modelFromFacts(
  facts: Readonly<Record<string, unknown>>,
  name: string | undefined,
  context: ModelContext,
): ModelSpec {
  try {
    return importModel(facts, {
      ...(name === undefined ? {} : { name }),
      ...(context.seqLen === undefined ? {} : { seqLen: context.seqLen }),
    });
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new InputError(error.findings.map((finding) => ({ ...finding, path: underModel(finding.path) })));
  }
}

function underModel(path: string): string {
  return path === "model" || path.startsWith("model.") ? path : path === "" ? "model" : `model.${path}`;
}

/** `examples/models/llama-3.1-70b.json` -> `llama-3.1-70b`; `somewhere/llama/config.json` -> `llama`. */
function nameOfPath(path: string): string {
  const parts = path.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
  const last = parts.at(-1) ?? path;
  return /^config\.json$/i.test(last) && parts.length > 1 ? parts.at(-2)! : last.replace(/\.(json|ya?ml)$/i, "");
}
