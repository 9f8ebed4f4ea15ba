// Megatron-LM's command line (pretrain_gpt.py, pretrain_hybrid.py): Megatron-Core's rules, and models that its flags can describe.

import type { LayerSpec } from "../../../model/types.ts";
import { noEncoder } from "./commonRules.ts";
import type { EngineLimits, ModelRule } from "./contract.ts";
import { megatronRules } from "./megatronRules.ts";

const title = "Megatron-LM";

export const megatronLimits: EngineLimits = {
  title,
  target: "Megatron-LM d98e8a6 (2026-08-22)",
  rules: megatronRules(title),
  models: [
    noEncoder(title),
    modelRule(({ parallelResidual }) => parallelResidual, "parallel attention and feed-forward branches"),
    modelRule(({ normsPerBranch }) => normsPerBranch !== 1, "more or fewer norms than one a branch"),
    modelRule(
      ({ mixer }) => mixer.kind === "attention" && (mixer.valueIsKey === true || mixer.kvShared === true),
      "keys and values shared between layers",
    ),
    modelRule(({ mixer }) => mixer.kind === "attention" && mixer.qkNorm === "full", "a norm over all heads of q and k"),
    modelRule(
      ({ mixer }) => mixer.kind === "attention" && mixer.headDim !== mixer.vHeadDim,
      "value heads of another width than key heads",
    ),
    modelRule(
      ({ mixer }) => mixer.kind === "mla" && (mixer.sharedKv !== undefined || mixer.sparseTopk > 0),
      "sparse or shared latent attention",
    ),
    modelRule(
      ({ mixer }) => mixer.kind === "ssm" && mixer.variant !== "mamba2",
      "state-space layers other than Mamba-2",
    ),
    modelRule(({ ffn }) => ffn.kind === "moe" && (ffn.latentDim ?? 0) > 0, "experts in a latent width"),
    modelRule(({ normAffine }) => normAffine === false, "norms without weights"),
    {
      breaks: (model) => model.position === "alibi" || model.position === "relative",
      say: (model) => `${title} has no flag for ${model.position} positions`,
    },
    {
      breaks: (model) => (model.embeddingDim ?? model.hidden) !== model.hidden,
      say: () => `${title} has no flag for an embedding of another width than the hidden size`,
    },
  ],
};

function modelRule(has: (layer: LayerSpec) => boolean, what: string): ModelRule {
  return {
    breaks: (model) => model.layerKinds.some(has),
    say: (model) => `${title}'s flags cannot describe ${what}, which "${model.name}" has: use Megatron-Bridge`,
  };
}
