// What the name of a kernel table says: family, device, number format. `kernels/<family>/<device id>_<dtype>[_<source>].csv`.

import { findDevice } from "../cluster/index.ts";
import type { DeviceSpec } from "../cluster/types.ts";
import type { FusedMoeQuery } from "../cost/types.ts";
import { deviceInName } from "./deviceInName.ts";

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
  /** Head layout in the name of a table without columns for it. */
  readonly geometry?: HeadGeometry | undefined;
}

export interface HeadGeometry {
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}

/** `..._h32_kv8_d128` */
function geometryOf(rest: string): HeadGeometry | undefined {
  const match = /(?:^|_)h(\d+)_kv(\d+)_d(\d+)(?:_|$)/.exec(rest);
  return match === null ? undefined : { heads: Number(match[1]), kvHeads: Number(match[2]), headDim: Number(match[3]) };
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
 * Reads a table's path: the folder is the family, the file name holds a device of the catalogue, then the format.
 *
 * @param columns of the table; they tell the family where the folder does not.
 * @param stated what a row's own cells say of device and format.
 */
export function parseTableName(
  fileName: string,
  columns: readonly string[] = [],
  stated: { readonly device?: string | undefined; readonly dtype?: string | undefined } = {},
): TableName | { readonly unsupported: string } {
  const parts = fileName.split(/[\\/]/);
  const base = (parts.at(-1) ?? "").replace(/\.csv$/i, "");
  const family =
    FAMILIES.find((name) => name === parts.at(-2)) ??
    TELLING_COLUMNS.find(([, telling]) => telling.every((column) => columns.includes(column)))?.[0];
  if (family === undefined)
    return {
      unsupported: `No kernel family in path "${fileName}" or its columns: the folder must be one of ${FAMILIES.join(", ")}`,
    };
  const named = deviceInName(base);
  const device = stated.device ? findDevice(stated.device) : named?.device;
  if (device === undefined)
    return {
      unsupported: stated.device
        ? `Device "${stated.device}" is not in the catalogue`
        : `No device of the catalogue stands in the name "${base}"`,
    };
  const rest = named?.rest ?? "";
  const dtype = stated.dtype || dtypeOf(rest);
  return { family, device, dtype, realOperands: rest !== "" && rest !== dtype, geometry: geometryOf(rest) };
}

/** The longest known format that starts `rest` (bf16 when it is empty); the remainder names the source or a fixed geometry. */
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
  if (rest === "") return "bf16";
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
