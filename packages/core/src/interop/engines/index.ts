// All engines' formats behind one door. A new engine is one file with an EngineFormat and one line here (and its rules in
// parallel/software/engineLimits.ts).

import { type EngineName, engineRefusals } from "../../parallel/software/engineLimits.ts";
import type { ResolvedSpec } from "../../spec/types.ts";
import { InputError } from "../../units/errors.ts";
import type { EngineExport, EngineFormat, EngineImport, ImportHints } from "./contract.ts";
import { deepspeedFormat } from "./deepspeed.ts";
import { fsdp2Format, isFsdp2Script } from "./fsdp2.ts";
import { megatronFormat } from "./megatron.ts";
import { megatronBridgeFormat } from "./megatronBridge.ts";
import { isTitanPython, torchtitanFormat } from "./torchtitan.ts";

export { canonicalStrategy } from "./canonical.ts";
export type * from "./contract.ts";

const formats: Readonly<Record<EngineName, EngineFormat>> = {
  megatron: megatronFormat,
  "megatron-bridge": megatronBridgeFormat,
  deepspeed: deepspeedFormat,
  torchtitan: torchtitanFormat,
  fsdp2: fsdp2Format,
};

/** The job in the engine's own words. Throws InputError with every reason when the engine cannot run it. */
export function exportSpec(engine: EngineName, spec: ResolvedSpec): EngineExport {
  const refusals = engineRefusals(engine, spec.model, spec.strategy, spec.software, spec.workload);
  if (refusals.length > 0) throw new InputError(refusals.map((message) => ({ path: `engine ${engine}`, message })));
  return formats[engine].exportSpec(spec);
}

/** What a text in the engine's format says. Throws InputError when it is no such text. */
export function importEngineText(engine: EngineName, text: string, hints: ImportHints = {}): EngineImport {
  return formats[engine].importText(text, hints);
}

/** Which engine a file is for, by its name and what it holds; undefined when nothing tells. */
export function detectEngine(fileName: string, text: string): EngineName | undefined {
  if (/\.json$/i.test(fileName) || /^\s*\{/.test(text)) return "deepspeed";
  if (/\.toml$/i.test(fileName)) return "torchtitan";
  if (isFsdp2Script(text)) return "fsdp2";
  if (/\.py$/i.test(fileName)) return isTitanPython(text) ? "torchtitan" : undefined;
  if (/run_recipe\.py|\bmodel\.[a-z_]+_parallel_size=/.test(text)) return "megatron-bridge";
  if (
    /--(tensor-model-parallel-size|num-layers|hidden-size|micro-batch-size|global-batch-size|pipeline-model-parallel-size|model-parallel-size)\b/.test(
      text,
    )
  )
    return "megatron";
  return /^\s*\[(parallelism|training|model|job)\]/m.test(text) ? "torchtitan" : undefined;
}
