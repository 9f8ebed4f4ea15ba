// What the name of a kernel table says: family, device, number format. `kernels/<family>/<device id>_<dtype>[_<source>].csv`.

import { devices } from "../cluster/index.ts";
import type { DeviceSpec } from "../cluster/types.ts";
import type { FusedMoeQuery } from "../cost/types.ts";

export type KernelFamily =
  | "gemm"
  | "gemm_train"
  | "grouped_gemm_train"
  | "attention_prefill"
  | "attention_train"
  | "attention_decode"
  | "attention_mixed"
  | "attention_mla_prefill"
  | "attention_mla_decode"
  | "moe"
  | "elementwise";

const FAMILIES: readonly KernelFamily[] = [
  "gemm",
  "gemm_train",
  "grouped_gemm_train",
  "attention_prefill",
  "attention_train",
  "attention_decode",
  "attention_mixed",
  "attention_mla_prefill",
  "attention_mla_decode",
  "moe",
  "elementwise",
];

export interface TableName {
  readonly family: KernelFamily;
  readonly device: DeviceSpec;
  readonly dtype: string;
  /** A named source times the layers of real models; tables without one are engine sweeps, whose bf16 weights may be constant. */
  readonly realOperands: boolean;
}

/** Columns that a family has and no family before it in this list; the order matters. */
const TELLING_COLUMNS: readonly (readonly [KernelFamily, readonly string[]])[] = [
  ["gemm_train", ["m", "n", "k", "layout"]],
  ["grouped_gemm_train", ["groups", "m_per_group"]],
  ["attention_train", ["phase", "qk_head_dim"]],
  ["attention_mixed", ["prefill_chunk"]],
  ["attention_decode", ["kv_len", "kv_heads"]],
  ["attention_mla_decode", ["kv_len", "heads"]],
  ["attention_prefill", ["seq", "kv_heads"]],
  ["attention_mla_prefill", ["seq", "heads"]],
  ["moe", ["topk", "hidden"]],
  ["elementwise", ["op", "width"]],
  ["gemm", ["m", "n", "k"]],
];

/**
 * Reads a table's path: the folder is the family, the file name starts with a device of the catalogue.
 *
 * @param columns of the table; they tell the family where the folder does not.
 */
export function parseTableName(
  fileName: string,
  columns: readonly string[] = [],
): TableName | { readonly unsupported: string } {
  const parts = fileName.split(/[\\/]/);
  const base = (parts.at(-1) ?? "").replace(/\.csv$/, "");
  const family =
    FAMILIES.find((name) => name === parts.at(-2)) ??
    TELLING_COLUMNS.find(([, telling]) => telling.every((column) => columns.includes(column)))?.[0];
  if (family === undefined)
    return {
      unsupported: `No kernel family in path "${fileName}" or its columns: the folder must be one of ${FAMILIES.join(", ")}`,
    };
  let device: DeviceSpec | undefined;
  for (const candidate of devices)
    if (base.startsWith(`${candidate.id}_`) && candidate.id.length > (device?.id.length ?? 0)) device = candidate;
  if (device === undefined) return { unsupported: `No device of the catalogue starts the name "${base}"` };
  const rest = base.slice(device.id.length + 1);
  const dtype = dtypeOf(rest);
  return { family, device, dtype, realOperands: rest !== dtype };
}

/** The longest known format that starts `rest`; the remainder names the source or a fixed geometry. */
function dtypeOf(rest: string): string {
  const known = [
    "w4a16_mxfp4",
    "fp8_block",
    "fp8_quant",
    "int8_wo",
    "int4_wo",
    "int8_sq",
    "nvfp4",
    "mxfp8",
    "mxfp4",
    "fp8kv",
    "aiter",
    "bf16",
    "fp16",
    "tf32",
    "fp32",
    "fp8",
    "fp4",
    "int8",
  ];
  return known.find((name) => rest === name || rest.startsWith(`${name}_`)) ?? rest;
}

/** Number format of one row of an aiter MoE table. */
export function aiterMoeDType(row: Readonly<Record<string, string>>): FusedMoeQuery["dtype"] | undefined {
  const { act_dtype: activation, weight_dtype: weight, quant } = row;
  if (weight === "int4") return "int4_wo";
  if (weight === "fp4") return activation === "bf16" ? "w4a16_mxfp4" : activation === "fp8" ? "nvfp4" : "mxfp4";
  if (weight === "fp8") return quant === "per_1x128" ? "fp8_block" : quant === "per_1x32" ? "mxfp8" : "fp8";
  if (weight === "int8") return "int8";
  if (weight === "bf16" || weight === "fp16") return "bf16";
  return undefined;
}
