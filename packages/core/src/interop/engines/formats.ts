// The registry of formats: a new engine is one file with an EngineFormat and one line here (and its rules in parallel/software/engineLimits.ts).

import type { EngineName } from "../../parallel/software/engineLimits.ts";
import type { EngineFormat } from "./contract.ts";
import { deepspeedFormat } from "./deepspeed.ts";
import { fsdp2Format } from "./fsdp2.ts";
import { megatronFormat } from "./megatron.ts";
import { megatronBridgeFormat } from "./megatronBridge.ts";
import { torchtitanFormat } from "./torchtitan.ts";

export const formats: Readonly<Record<EngineName, EngineFormat>> = {
  megatron: megatronFormat,
  "megatron-bridge": megatronBridgeFormat,
  deepspeed: deepspeedFormat,
  torchtitan: torchtitanFormat,
  fsdp2: fsdp2Format,
};
