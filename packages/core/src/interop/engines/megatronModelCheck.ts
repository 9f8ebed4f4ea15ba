// Megatron-LM's flags against a model: every size that they state and the model contradicts, and shapes that it needs.

import type { ModelSpec } from "../../model/types.ts";
import type { FlagReader } from "./flagReader.ts";
import type { ImportBuilder } from "./importBuilder.ts";
import { modelArguments } from "./megatronModel.ts";
import { readVocab } from "./megatronModelRead.ts";

const sizes: ReadonlySet<string> = new Set([
  "num-layers",
  "hidden-size",
  "num-attention-heads",
  "ffn-hidden-size",
  "kv-channels",
  "num-query-groups",
  "num-experts",
  "moe-router-topk",
  "moe-ffn-hidden-size",
  "moe-shared-expert-intermediate-size",
  "q-lora-rank",
  "kv-lora-rank",
  "qk-head-dim",
  "qk-pos-emb-head-dim",
  "v-head-dim",
  "mamba-num-heads",
  "mamba-head-dim",
  "mamba-state-dim",
  "mamba-num-groups",
  "mtp-num-layers",
  "normalization",
]);
const shapes: readonly string[] = [
  "group-query-attention",
  "swiglu",
  "squared-relu",
  "multi-latent-attention",
  "untie-embeddings-and-output-weights",
  "qk-layernorm",
];

/** Every size that the flags state and the model contradicts. */
export function compareModel(flags: FlagReader, model: ModelSpec, out: ImportBuilder): void {
  const wanted = new Map(modelArguments(model, model.maxSeqLen).map(([name, ...values]) => [name, values] as const));
  for (const name of sizes) {
    if (!flags.has(name)) continue;
    const stated = flags.text(name);
    const expected = wanted.get(name)?.[0];
    if (stated === undefined || stated === expected || (expected !== undefined && Number(stated) === Number(expected)))
      continue;
    // A dense width stated for a model whose every layer is a mixture is not used.
    if (expected === undefined && name === "num-query-groups" && !flags.has("group-query-attention")) continue;
    if (name === "ffn-hidden-size" && !model.layerKinds.some(({ ffn }) => ffn.kind === "dense")) continue;
    out.error(
      flags.place(name),
      expected === undefined
        ? `--${name} ${stated} contradicts "${model.name}", which has no such part`
        : `--${name} ${stated} contradicts "${model.name}": ${expected}`,
    );
  }
  if (!flags.has("num-layers")) return;
  for (const name of shapes) {
    if (flags.has(name) === wanted.has(name)) continue;
    out.error(
      flags.place(name) ?? flags.place("num-layers"),
      wanted.has(name) ? `"${model.name}" needs --${name}` : `"${model.name}" is without --${name}`,
    );
  }
  for (const name of ["num-experts", "num-query-groups"] as const)
    if (wanted.has(name) && !flags.has(name))
      out.error(flags.place("num-layers"), `"${model.name}" needs --${name} ${wanted.get(name)![0]}`);
  const vocab = readVocab(flags);
  // A padded or a trimmed vocabulary is no other model.
  if (vocab !== undefined && Math.abs(vocab - model.vocab) > 1024)
    out.error(
      flags.place("vocab-size") ?? flags.place("padded-vocab-size"),
      `A vocabulary of ${vocab} contradicts "${model.name}": ${model.vocab}`,
    );
}
