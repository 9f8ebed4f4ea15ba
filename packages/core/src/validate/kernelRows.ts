// One row of a kernel table as a query, and its prediction under the conditions of the measurement: warm buffers, quantisation included.

import type { DeviceSpec } from "../cluster/types.ts";
import type { ElementwiseQuery, KernelConditions, MixedShape } from "../cost/kernels/index.ts";
import { elementwiseCost, kernelCost, mixedAttentionCost } from "../cost/kernels/index.ts";
import { causalPairs } from "../cost/kernels/shapes.ts";
import {
  type AttentionQuery,
  type Cost,
  type DecodeAttentionQuery,
  type FusedMoeQuery,
  type GemmDType,
  gemmDTypes,
  type KernelQuery,
} from "../cost/types.ts";
import { aiterMoeDType, parseTableName, type TableName } from "./kernelFiles.ts";

export type KernelRow = Readonly<Record<string, string>>;
export type KernelRowPrediction =
  | { readonly predictedUs: number; readonly measuredUs: number }
  | { readonly unsupported: string };

/** The functions a row's price comes from; the shipped model unless given. */
export interface RowPricer {
  cost(device: DeviceSpec, query: KernelQuery, conditions?: KernelConditions): Cost;
  elementwise(device: DeviceSpec, query: ElementwiseQuery): Cost;
  mixed(device: DeviceSpec, shape: MixedShape, dtype: string): Cost;
}

const shipped: RowPricer = { cost: kernelCost, elementwise: elementwiseCost, mixed: mixedAttentionCost };

/** Formats a GEMM or MoE query can name; anything else is not priced. */
const GEMM_DTYPES: ReadonlySet<string> = new Set(gemmDTypes);

/** Columns in which nothing is an amount: no window, no earlier tokens, no decoding sequences. */
const mayBeZero: ReadonlySet<string> = new Set([
  "window",
  "prefill_chunk",
  "kv_prefill",
  "n_decode",
  "kv_decode",
  "bytes",
]);

/**
 * Predicts one row of a kernel table.
 *
 * @param fileName path of the table; folder and name say family, device and format (kernelFiles.ts).
 * @param row cells by column name.
 */
export function predictKernelRow(fileName: string, row: KernelRow, pricer: RowPricer = shipped): KernelRowPrediction {
  const name = parseTableName(fileName, Object.keys(row), {
    device: row["gpu"] ?? row["device"],
    dtype: row["dtype"],
  });
  if ("unsupported" in name) return name;
  const measuredUs = Number(row["latency_us"]);
  if (!Number.isFinite(measuredUs)) return { unsupported: `No "latency_us" in the row of "${fileName}"` };
  const seconds = rowSeconds(name, row, pricer);
  return typeof seconds === "number" ? { predictedUs: seconds * 1e6, measuredUs } : seconds;
}

function rowSeconds(name: TableName, row: KernelRow, pricer: RowPricer): number | { readonly unsupported: string } {
  const { device, dtype } = name;
  const missing: string[] = [];
  const get = (column: string): number => {
    const value = Number(row[column]);
    const least = mayBeZero.has(column) ? 0 : Number.MIN_VALUE;
    if (row[column] === undefined || row[column] === "" || !Number.isFinite(value) || value < least)
      missing.push(column);
    return value;
  };
  /** A column that a table may leave out. */
  const getOr = (column: string, absent: number): number =>
    row[column] === undefined || row[column] === "" ? absent : get(column);
  const priced = (query: KernelQuery, conditions?: KernelConditions): number | { readonly unsupported: string } => {
    if (missing.length > 0)
      return { unsupported: `No fitting number in column ${missing.map((column) => `"${column}"`).join(", ")}` };
    return pricer.cost(device, query, conditions).durationSec;
  };
  const gemmDType = (): GemmDType | undefined => (GEMM_DTYPES.has(dtype) ? (dtype as GemmDType) : undefined);
  switch (name.family) {
    case "gemm": {
      const format = gemmDType();
      if (format === undefined) return { unsupported: `No GEMM in format "${dtype}"` };
      const layout = row["trans"] === "NN" || row["trans"] === "NT" ? row["trans"] : "TN";
      return priced(
        {
          kind: "gemm",
          m: get("m"),
          n: get("n"),
          k: get("k"),
          batch: 1,
          dtype: format,
          layout,
          accumulate: false,
          outDtype: "bf16",
          includesQuantisation: true,
          warmCache: true,
        },
        { realOperands: name.realOperands },
      );
    }
    case "gemm_train": {
      const format = gemmDType();
      if (format === undefined) return { unsupported: `No GEMM in format "${dtype}"` };
      const layout = row["layout"] === "NN" ? "NN" : row["layout"] === "NT" ? "NT" : "TN";
      const outDtype = row["out_dtype"] === "fp32" ? "fp32" : "bf16";
      return priced({
        kind: "gemm",
        m: get("m"),
        n: get("n"),
        k: get("k"),
        batch: 1,
        dtype: format,
        layout,
        accumulate: row["accumulate"] === "1",
        outDtype,
        includesQuantisation: false,
        warmCache: false,
      });
    }
    case "grouped_gemm_train": {
      const format = gemmDType();
      if (format === undefined) return { unsupported: `No GEMM in format "${dtype}"` };
      const layout = row["stage"] === "bwd_grad_act" ? "NN" : row["stage"] === "bwd_grad_w" ? "NT" : "TN";
      const groups = get("groups");
      const rows = get("m_per_group");
      return priced({
        kind: "groupedGemm",
        groups,
        totalRows: groups * rows,
        maxRows: rows,
        n: get("n"),
        k: get("k"),
        dtype: format,
        layout,
        accumulate: row["accumulate"] === "1",
        // Megatron's main gradients unless the table says otherwise.
        outDtype: row["accumulate"] === "1" && row["out_dtype"] !== "bf16" ? "fp32" : "bf16",
      });
    }
    case "attention_prefill": {
      const format = dtype === "fp8" || dtype === "fp8kv" ? "fp8" : dtype === "fp16" ? "fp16" : "bf16";
      return priced(
        prefillQuery(
          get("batch"),
          get("seq"),
          get("heads"),
          get("kv_heads"),
          get("head_dim"),
          getOr("window", 0),
          format,
        ),
        { warm: true },
      );
    }
    case "attention_train": {
      const seq = get("seq");
      const query: AttentionQuery = {
        kind: "attention",
        phase: row["phase"] === "bwd" ? "backward" : "forward",
        batch: get("batch"),
        seqQ: seq,
        seqKv: seq,
        heads: get("heads"),
        kvHeads: get("kv_heads"),
        headDim: get("qk_head_dim"),
        vHeadDim: get("v_head_dim"),
        pairs: causalPairs(seq, 0),
        window: 0,
        dtype: "bf16",
        impl: "auto",
      };
      return priced(query);
    }
    case "attention_decode":
      return priced(
        decodeQuery(
          get("batch"),
          get("kv_len"),
          get("heads"),
          get("kv_heads"),
          get("head_dim"),
          getOr("window", 0),
          dtype === "fp8" ? "fp8kv" : dtype,
        ),
        { warm: true },
      );
    case "attention_mixed": {
      const { geometry } = name;
      const shape = {
        chunk: get("prefill_chunk"),
        prefix: get("kv_prefill"),
        numDecodes: get("n_decode"),
        kvLen: get("kv_decode"),
        heads: geometry?.heads ?? get("heads"),
        kvHeads: geometry?.kvHeads ?? get("kv_heads"),
        headDim: geometry?.headDim ?? get("head_dim"),
      };
      return missing.length > 0
        ? { unsupported: `No fitting number in column ${missing.join(", ")}` }
        : pricer.mixed(device, shape, dtype).durationSec;
    }
    case "attention_mla_prefill":
      return priced(
        {
          kind: "mlaAttention",
          phase: "prefill",
          batch: get("batch"),
          seq: get("seq"),
          heads: get("heads"),
          dtype: "bf16",
        },
        { warm: true },
      );
    case "attention_mla_decode":
      return priced(
        {
          kind: "mlaAttention",
          phase: "decode",
          batch: get("batch"),
          seq: get("kv_len"),
          heads: get("heads"),
          dtype: "bf16",
        },
        { warm: true },
      );
    case "moe": {
      const query = moeQuery(dtype, row, get, getOr);
      return "unsupported" in query ? query : priced(query, { warm: true });
    }
    case "elementwise": {
      const query = { op: row["op"] ?? "", tokens: get("tokens"), width: get("width"), sizeBytes: get("bytes"), dtype };
      return missing.length > 0
        ? { unsupported: `No fitting number in column ${missing.join(", ")}` }
        : pricer.elementwise(device, query).durationSec;
    }
  }
}

function prefillQuery(
  batch: number,
  seq: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  window: number,
  dtype: AttentionQuery["dtype"],
): AttentionQuery {
  return {
    kind: "attention",
    phase: "forward",
    batch,
    seqQ: seq,
    seqKv: seq,
    heads,
    kvHeads,
    headDim,
    vHeadDim: headDim,
    pairs: causalPairs(seq, window),
    window,
    dtype,
    impl: "auto",
  };
}

function decodeQuery(
  batch: number,
  kvLen: number,
  heads: number,
  kvHeads: number,
  headDim: number,
  window: number,
  dtype: string,
): DecodeAttentionQuery {
  return {
    kind: "decodeAttention",
    batch,
    kvLen,
    heads,
    kvHeads,
    headDim,
    window,
    dtype: dtype === "fp8kv" ? "fp8kv" : dtype === "fp16" ? "fp16" : "bf16",
  };
}

function moeQuery(
  dtype: string,
  row: KernelRow,
  get: (column: string) => number,
  getOr: (column: string, absent: number) => number,
): FusedMoeQuery | { readonly unsupported: string } {
  if (row["inter_local"] !== undefined) {
    const format = aiterMoeDType(row);
    if (format === undefined)
      return { unsupported: `No MoE with activation "${row["act_dtype"]}" and weight "${row["weight_dtype"]}"` };
    return {
      kind: "fusedMoe",
      tokens: get("tokens"),
      hidden: get("hidden"),
      inter: get("inter_local"),
      topk: get("topk"),
      experts: get("experts_local"),
      moeTp: 1,
      moeEp: 1,
      routing: "balanced",
      dtype: format,
    };
  }
  if (!GEMM_DTYPES.has(dtype) && dtype !== "w4a16_mxfp4") return { unsupported: `No MoE in format "${dtype}"` };
  return {
    kind: "fusedMoe",
    tokens: get("tokens"),
    hidden: get("hidden"),
    inter: get("inter"),
    topk: get("topk"),
    experts: get("experts"),
    moeTp: getOr("moe_tp", 1),
    moeEp: getOr("moe_ep", 1),
    routing: row["routing"] || "balanced",
    dtype: dtype as FusedMoeQuery["dtype"],
  };
}
