// One door for both forms of a model description: a Hugging Face config, or our own inline fields (`layers`, `hidden`). A description that names no
// architecture and has one of the inline fields is inline, so that a misspelled one is told of the others.

import { isRecord } from "./configReader.ts";
import { importHuggingFace } from "./importHuggingFace.ts";
import { type InlineOptions, importInline } from "./importInline.ts";
import type { ModelSpec } from "./types.ts";

const architectureKeys = ["model_type", "_class_name", "architectures", "ssm_cfg"];
/** Fields that no config.json has. */
const inlineKeys = ["layers", "hidden", "heads", "kv_heads", "ffn", "ffn_gated"];

/** Imports whichever form it is; throws InputError with all findings. */
export function importModel(description: unknown, options: InlineOptions = {}): ModelSpec {
  const isInline =
    isRecord(description) &&
    !architectureKeys.some((key) => key in description) &&
    inlineKeys.some((key) => key in description);
  return isInline ? importInline(description, options) : importHuggingFace(description, options);
}
