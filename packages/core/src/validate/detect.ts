// What a file holds: JSON lines of training or serving rows, or a CSV table of kernels or of the network. A path says it best
// (`.../kernels/gemm/h100_sxm_bf16.csv`); without one, the columns do.

import { isRow, type Row } from "./rowReader.ts";
import { columnNames, headerIndex, tableLines } from "./tableRows.ts";

export type FileKind =
  | { readonly kind: "rows" }
  | { readonly kind: "kernels"; readonly family: string }
  | { readonly kind: "network"; readonly family: string }
  | { readonly kind: "unknown"; readonly reason: string };

const kernelFamilies = [
  "gemm_train",
  "grouped_gemm_train",
  "attention_train",
  "attention_mla_prefill",
  "attention_mla_decode",
  "attention_prefill",
  "attention_decode",
  "attention_mixed",
  "elementwise",
  "moe",
  "gemm",
] as const;
const networkFamilies = ["collectives", "moe_a2a", "p2p"] as const;

/** Columns that only one family has, most telling first. */
const columnsOf: readonly { readonly family: string; readonly all: readonly string[] }[] = [
  { family: "collectives", all: ["op", "gpus", "bytes"] },
  { family: "moe_a2a", all: ["phase", "gpus", "tokens", "topk"] },
  { family: "p2p", all: ["gpus", "nodes", "bytes"] },
  { family: "attention_mixed", all: ["prefill_chunk", "n_decode"] },
  { family: "attention_train", all: ["phase", "batch", "seq"] },
  { family: "gemm_train", all: ["m", "n", "k", "layout"] },
  { family: "grouped_gemm_train", all: ["groups", "m_per_group"] },
  { family: "moe", all: ["tokens", "hidden", "experts"] },
  { family: "attention_decode", all: ["batch", "kv_len", "head_dim"] },
  { family: "attention_prefill", all: ["batch", "seq", "head_dim"] },
  { family: "attention_mla_decode", all: ["batch", "kv_len", "heads"] },
  { family: "attention_mla_prefill", all: ["batch", "seq", "heads"] },
  { family: "elementwise", all: ["op", "tokens", "width"] },
  { family: "gemm", all: ["m", "n", "k"] },
];

export function detectFile(name: string, text: string): FileKind {
  const lines = tableLines(text);
  const first = lines[headerIndex(lines)] ?? "";
  if (first === "") return { kind: "unknown", reason: "the file is empty" };
  if (/^\s*[{[]/.test(first) || /\.jsonl?$/i.test(name)) return { kind: "rows" };
  const folders = name.toLowerCase().split(/[\\/]/);
  const byFolder = [...kernelFamilies, ...networkFamilies].find((family) => folders.includes(family));
  const columns = columnNames(first);
  const family = byFolder ?? columnsOf.find(({ all }) => all.every((column) => columns.includes(column)))?.family;
  if (family === undefined) {
    return { kind: "unknown", reason: `columns "${first.slice(0, 120)}" are those of no known table` };
  }
  return { kind: (networkFamilies as readonly string[]).includes(family) ? "network" : "kernels", family };
}

/** Serving rows name an engine and lengths of prompt and answer. */
export function isServingRow(row: Row): boolean {
  return (
    isRow(row) &&
    row.engine !== undefined &&
    (row.isl !== undefined ||
      row.isl_mean !== undefined ||
      row.workload !== undefined ||
      row.max_batch !== undefined ||
      row.mode !== undefined)
  );
}
