// One door for both forms of a model description: a Hugging Face config, or our own inline fields (`layers`, `hidden`).

import { isRecord } from "./configReader.ts";
import { importHuggingFace } from "./importHuggingFace.ts";
import { type InlineOptions, importInline } from "./importInline.ts";
import type { ModelSpec } from "./types.ts";

/** Imports whichever form it is; throws InputError with all findings. */
export function importModel(description: unknown, options: InlineOptions = {}): ModelSpec {
  const isInline =
    isRecord(description) && !("model_type" in description) && ("layers" in description || "hidden" in description);
  return isInline ? importInline(description, options) : importHuggingFace(description, options);
}
