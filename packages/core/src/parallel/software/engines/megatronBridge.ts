// Megatron-Bridge (NeMo): Megatron-Core's rules. Models come from Hugging Face through the bridge's providers, so their shape is no limit here.

import { noEncoder } from "./commonRules.ts";
import type { EngineLimits } from "./contract.ts";
import { megatronRules } from "./megatronRules.ts";

export const megatronBridgeLimits: EngineLimits = {
  title: "Megatron-Bridge",
  target: "Megatron-Bridge 067f987 (2026-08-22)",
  models: [noEncoder("Megatron-Bridge")],
  rules: megatronRules("Megatron-Bridge"),
};
