// The number format of a row's matrix multiplications.

import type { Precision } from "../parallel/strategy.ts";
import { argsOf, flagsOf, type Row, text } from "./rowReader.ts";

/** `fp8` is refined by the recipe: MXFP8 on Blackwell, blocks of 128 on Hopper (no MX units there), else per tensor. */
export function precisionOf(row: Row, notes: string[]): Precision {
  const stated = (text(row, "precision") ?? "bf16").toLowerCase();
  if (stated.startsWith("fp8") && stated !== "fp8_block") {
    const flags = flagsOf(row);
    const recipe =
      `${text(flags, "fp8_recipe") ?? ""} ${text(flags, "quant") ?? ""} ${text(argsOf(row), "fp8-recipe") ?? ""}`.toLowerCase();
    // Only Blackwell and CDNA 4 multiply MX formats; the same recipe on Hopper scales 128-blocks in software.
    if (recipe.includes("mxfp8"))
      return /\bg?b[23]00|rtx.?pro|mi35/i.test(text(row, "accelerator") ?? "") ? "mxfp8" : "fp8_block";
    return /block|sub-?channel|128x128/.test(recipe) ? "fp8_block" : "fp8";
  }
  const known = spellings.find(([pattern]) => pattern.test(stated))?.[1];
  if (known !== undefined) return known;
  notes.push(`precision "${stated}" is not known: bf16`);
  return "bf16";
}

const spellings: readonly (readonly [RegExp, Precision])[] = [
  [/^(bf16|bfloat16|amp_bf16)/, "bf16"],
  [/^(fp16|float16|half|amp_fp16)/, "fp16"],
  [/^fp8_block/, "fp8_block"],
  [/^mxfp8/, "mxfp8"],
  [/^(nvfp4|mxfp4|fp4)/, "nvfp4"],
  [/^(fp32|float32|tf32)/, "fp32"],
];
