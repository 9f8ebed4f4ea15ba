// Which engine a file is for, by its name and what it holds.

import type { EngineName } from "../../parallel/software/engineLimits.ts";
import { isFsdp2Script } from "./fsdp2.ts";
import { isTitanPython } from "./torchtitanRead.ts";

/** Undefined when nothing tells. */
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
