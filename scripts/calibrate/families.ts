// The measured tables as samples of families: which coordinates, which physics, which features the gap filler sees.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceSpec } from "../../packages/core/src/cluster/types.ts";
import {
  ATTENTION_PARAMS,
  attentionSeconds,
  DECODE_PARAMS,
  decodeSeconds,
} from "../../packages/core/src/cost/kernels/attentionModel.ts";
import {
  ELEMENTWISE_OPS,
  ELEMENTWISE_PARAMS,
  elementwiseSeconds,
} from "../../packages/core/src/cost/kernels/elementwiseModel.ts";
import { GEMM_PARAMS, gemmSeconds } from "../../packages/core/src/cost/kernels/gemmModel.ts";

import { MIXED_PARAMS, type MixedShape, mixedSeconds } from "../../packages/core/src/cost/kernels/mixedModel.ts";
import { fusedMoeSeconds, MOE_PARAMS, routingExponent } from "../../packages/core/src/cost/kernels/moeModel.ts";
import {
  causalPairs,
  decodeShape,
  gemmShape,
  mlaDecodeShape,
  mlaPrefillShape,
} from "../../packages/core/src/cost/kernels/shapes.ts";
import type { FusedMoeQuery, GemmDType } from "../../packages/core/src/cost/types.ts";
import { aiterMoeDType, parseTableName } from "../../packages/core/src/validate/kernelFiles.ts";
import { type CsvRow, readCsv } from "./csv.ts";

export interface Sample {
  readonly slice: readonly number[];
  readonly inner: readonly number[];
  readonly seconds: number;
  /** The row it came from, for predictions through the public path. */
  readonly row: CsvRow;
}

export interface RawTable {
  readonly file: string;
  readonly device: DeviceSpec;
  readonly dtype: string;
  readonly engine: string;
  readonly operands: "constant" | "random";
  readonly samples: readonly Sample[];
}

export interface FamilySpec {
  readonly name: "gemm" | "attention" | "decode" | "mlaPrefill" | "mlaDecode" | "moe" | "elementwise" | "mixed";
  readonly folder: string;
  readonly start: readonly number[];
  coordinates(row: CsvRow): { readonly slice: readonly number[]; readonly inner: readonly number[] };
  physics(
    device: DeviceSpec,
    dtype: string,
    slice: readonly number[],
    inner: readonly number[],
    params: readonly number[],
  ): number;
  features(device: DeviceSpec, slice: readonly number[], inner: readonly number[]): readonly number[];
}

const num = (row: CsvRow, column: string): number => Number(row[column]);
const starts = (params: readonly { readonly start: number }[]): readonly number[] => params.map(({ start }) => start);
const at = (values: readonly number[], index: number): number => values[index] as number;

/** Layout coordinate of the tables that time each transposition on its own. */
const TRANSPOSITIONS: readonly string[] = ["TN", "NN", "NT"];

const gemm: FamilySpec = {
  name: "gemm",
  folder: "gemm",
  start: starts(GEMM_PARAMS),
  coordinates: (row) => ({
    slice:
      row["trans"] === undefined
        ? [num(row, "n"), num(row, "k")]
        : [num(row, "n"), num(row, "k"), TRANSPOSITIONS.indexOf(row["trans"])],
    inner: [num(row, "m")],
  }),
  physics(device, dtype, [n, k], [m], params) {
    const query = {
      kind: "gemm",
      m: m as number,
      n: n as number,
      k: k as number,
      batch: 1,
      dtype: dtype as GemmDType,
      layout: "TN",
      accumulate: false,
      outDtype: "bf16",
      includesQuantisation: true,
      warmCache: true,
    } as const;
    return gemmSeconds(device, gemmShape(device, query), params);
  },
  features(device, [n, k], [m]) {
    const features = [
      m! % 8 === 0 ? 1 : 0,
      m! % 64 === 0 ? 1 : 0,
      Math.log2(m! * n! * k!),
      Math.log2(m! * n!),
      Math.log2(m! * k! + n! * k!),
    ];
    for (const tileM of [16, 64, 128, 256]) {
      features.push(Math.ceil(m! / tileM));
      if (tileM === 16) continue;
      for (const tileN of [64, 128, 256]) {
        const waves = (Math.ceil(m! / tileM) * Math.ceil(n! / tileN)) / device.units;
        features.push(Math.ceil(waves) / waves);
      }
    }
    features.push((Math.ceil(m! / 128) * Math.ceil(n! / 128)) / device.units);
    return features;
  },
};

const attention: FamilySpec = {
  name: "attention",
  folder: "attention_prefill",
  start: starts(ATTENTION_PARAMS),
  coordinates: (row) => ({
    slice: [num(row, "heads"), num(row, "kv_heads"), num(row, "head_dim"), num(row, "window")],
    inner: [num(row, "batch"), num(row, "seq")],
  }),
  physics(device, dtype, slice, inner, params) {
    const seq = at(inner, 1);
    const shape = {
      batch: at(inner, 0),
      seqQ: seq,
      seqKv: seq,
      heads: at(slice, 0),
      kvHeads: at(slice, 1),
      headDim: at(slice, 2),
      vHeadDim: at(slice, 2),
      pairs: causalPairs(seq, at(slice, 3)),
      dtype: dtype as "bf16" | "fp8",
      warm: true,
    };
    return attentionSeconds(device, shape, params);
  },
  features(device, slice, inner) {
    const tiles = (Math.ceil(at(inner, 1) / 128) * at(slice, 0) * at(inner, 0)) / device.units;
    const kvTiles = (Math.ceil(at(inner, 1) / 128) * at(slice, 1) * at(inner, 0)) / device.units;
    return [
      Math.log2(at(slice, 0) / at(slice, 1)),
      Math.log2(tiles),
      Math.ceil(tiles) / tiles,
      Math.log2(kvTiles),
      Math.ceil(kvTiles) / kvTiles,
      at(inner, 0) * at(slice, 0),
      at(inner, 0) * at(inner, 1),
    ];
  },
};

const decode: FamilySpec = {
  name: "decode",
  folder: "attention_decode",
  start: starts(DECODE_PARAMS),
  coordinates: (row) => ({
    slice: [num(row, "heads"), num(row, "kv_heads"), num(row, "head_dim"), num(row, "window")],
    inner: [num(row, "batch"), num(row, "kv_len")],
  }),
  physics(device, dtype, slice, inner, params) {
    const query = {
      kind: "decodeAttention",
      batch: at(inner, 0),
      kvLen: at(inner, 1),
      heads: at(slice, 0),
      kvHeads: at(slice, 1),
      headDim: at(slice, 2),
      window: at(slice, 3),
      dtype: dtype as "bf16" | "fp8kv",
    } as const;
    return decodeSeconds(device, decodeShape(query, true), params);
  },
  features(device, slice, inner) {
    const length = at(slice, 3) > 0 ? Math.min(at(slice, 3), at(inner, 1)) : at(inner, 1);
    const blocks = (at(inner, 0) * at(slice, 1)) / device.units;
    const bytes = at(inner, 0) * length * at(slice, 1) * at(slice, 2) * 4;
    return [
      Math.log2(at(slice, 0) / at(slice, 1)),
      Math.log2(blocks),
      Math.ceil(blocks) / blocks,
      Math.log2(bytes),
      Math.log2(bytes / Math.max(1, device.l2Bytes)),
      Math.log2(length),
      at(inner, 0) * at(slice, 0),
    ];
  },
};

const mlaPrefill: FamilySpec = {
  name: "mlaPrefill",
  folder: "attention_mla_prefill",
  start: starts(ATTENTION_PARAMS),
  coordinates: (row) => ({ slice: [num(row, "heads")], inner: [num(row, "batch"), num(row, "seq")] }),
  physics: (device, _dtype, slice, inner, params) =>
    attentionSeconds(
      device,
      mlaPrefillShape(
        {
          kind: "mlaAttention",
          phase: "prefill",
          batch: at(inner, 0),
          seq: at(inner, 1),
          heads: at(slice, 0),
          dtype: "bf16",
        },
        true,
      ),
      params,
    ),
  features(device, slice, inner) {
    const tiles = (Math.ceil(at(inner, 1) / 128) * at(slice, 0) * at(inner, 0)) / device.units;
    return [Math.log2(tiles), Math.ceil(tiles) / tiles, at(inner, 0) * at(inner, 1)];
  },
};

const mlaDecode: FamilySpec = {
  name: "mlaDecode",
  folder: "attention_mla_decode",
  start: starts(DECODE_PARAMS),
  coordinates: (row) => ({ slice: [num(row, "heads")], inner: [num(row, "batch"), num(row, "kv_len")] }),
  physics: (device, _dtype, slice, inner, params) =>
    decodeSeconds(
      device,
      mlaDecodeShape(
        {
          kind: "mlaAttention",
          phase: "decode",
          batch: at(inner, 0),
          seq: at(inner, 1),
          heads: at(slice, 0),
          dtype: "bf16",
        },
        true,
      ),
      params,
    ),
  features: (device, slice, inner) => [
    Math.log2((at(inner, 0) * at(slice, 0)) / device.units),
    at(inner, 0) * at(inner, 1),
    at(inner, 0) * at(slice, 0),
  ],
};

function moeQuery(dtype: string, slice: readonly number[], inner: readonly number[]): FusedMoeQuery {
  const [hidden, inter, topk, experts, moeTp, moeEp, exponent] = slice as readonly number[] as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    kind: "fusedMoe",
    tokens: at(inner, 0),
    hidden,
    inter,
    topk,
    experts,
    moeTp,
    moeEp,
    routing: exponent === 0 ? "balanced" : `power_law_${exponent}`,
    dtype: dtype as FusedMoeQuery["dtype"],
  };
}

const moe: FamilySpec = {
  name: "moe",
  folder: "moe",
  start: starts(MOE_PARAMS),
  coordinates(row) {
    if (row["inter_local"] !== undefined) {
      return {
        slice: [num(row, "hidden"), num(row, "inter_local"), num(row, "topk"), num(row, "experts_local"), 1, 1, 0],
        inner: [num(row, "tokens")],
      };
    }
    const slice = ["hidden", "inter", "topk", "experts", "moe_tp", "moe_ep"].map((column) => num(row, column));
    return { slice: [...slice, routingExponent(row["routing"] ?? "balanced")], inner: [num(row, "tokens")] };
  },
  physics: (device, dtype, slice, inner, params) => fusedMoeSeconds(device, moeQuery(dtype, slice, inner), params),
  features(_device, slice, inner) {
    const [hidden, inter, topk, experts, moeTp, moeEp] = slice as readonly number[] as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const rows = (at(inner, 0) * topk) / moeEp;
    const local = experts / moeEp;
    const width = inter / moeTp;
    return [
      Math.log2(rows),
      Math.log2(rows / local),
      Math.log2(local),
      Math.log2(width),
      Math.log2(local * width * hidden),
      Math.log2(rows * width * hidden),
    ];
  },
};

const elementwise: FamilySpec = {
  name: "elementwise",
  folder: "elementwise",
  start: starts(ELEMENTWISE_PARAMS),
  coordinates: (row) => ({
    slice: [ELEMENTWISE_OPS.indexOf(row["op"] ?? ""), num(row, "width")],
    inner: [num(row, "tokens")],
  }),
  // Every op of the tables moves bytes in proportion to tokens times width; the factor is the op's, in the order of ELEMENTWISE_OPS.
  physics: (device, _dtype, slice, inner, params) =>
    elementwiseSeconds(
      device,
      at(slice, 0),
      at(inner, 0) * at(slice, 1) * (ELEMENTWISE_BYTES[at(slice, 0)] ?? 4),
      params,
    ),
  features: (_device, slice, inner) => [Math.log2(at(slice, 1) * at(inner, 0))],
};
/** Bytes moved per token and unit of width (tables' own `bytes` column over tokens times width). */
const ELEMENTWISE_BYTES: readonly number[] = [4, 3, 4, 4, 6, 8, 4, 4, 6];

const mixed: FamilySpec = {
  name: "mixed",
  folder: "attention_mixed",
  start: starts(MIXED_PARAMS),
  coordinates: (row) => ({
    slice: [num(row, "prefill_chunk"), num(row, "kv_prefill")],
    inner: [num(row, "n_decode"), num(row, "kv_decode")],
  }),
  physics: (device, _dtype, slice, inner, params) => mixedSeconds(device, mixedShape(slice, inner), params),
  features(_device, slice, inner) {
    return [
      Math.max(at(slice, 0) + at(slice, 1), at(inner, 1)),
      at(slice, 0) * (at(slice, 0) + at(slice, 1)),
      at(inner, 0) * at(inner, 1),
      at(slice, 0) === 0 ? 1 : 0,
    ];
  },
};

/** The tables' head layout is fixed. */
function mixedShape(slice: readonly number[], inner: readonly number[]): MixedShape {
  return {
    chunk: at(slice, 0),
    prefix: at(slice, 1),
    numDecodes: at(inner, 0),
    kvLen: at(inner, 1),
    heads: 32,
    kvHeads: 8,
    headDim: 128,
  };
}

export const FAMILIES: readonly FamilySpec[] = [
  gemm,
  attention,
  decode,
  mlaPrefill,
  mlaDecode,
  moe,
  elementwise,
  mixed,
];

interface IndexEntry {
  readonly file: string;
  readonly engine?: string;
  readonly version?: string;
  readonly method?: string;
}

/** All tables of a family under `shared`. */
export function loadFamily(spec: FamilySpec, shared: string): RawTable[] {
  const index = JSON.parse(readFileSync(join(shared, "data/index.json"), "utf8")) as {
    readonly tables: readonly IndexEntry[];
  };
  const tables: RawTable[] = [];
  for (const entry of index.tables) {
    if (!entry.file.startsWith(`kernels/${spec.folder}/`)) continue;
    const name = parseTableName(entry.file);
    if ("unsupported" in name) throw new Error(name.unsupported);
    const byDtype = new Map<string, Sample[]>();
    for (const row of readCsv(join(shared, "data", entry.file))) {
      const dtype = name.dtype === "aiter" ? aiterMoeDType(row) : name.dtype;
      if (dtype === undefined) continue;
      const list = byDtype.get(dtype) ?? [];
      list.push({ ...spec.coordinates(row), seconds: num(row, "latency_us") * 1e-6, row });
      byDtype.set(dtype, list);
    }
    const engine = `${entry.engine ?? ""} ${entry.version ?? ""}`.trim();
    // Engine sweeps of vLLM leave bf16 weights uninitialised or constant (data README, point 2); layers of real models do not.
    const constant = spec.name === "gemm" && !name.realOperands && (entry.engine ?? "").startsWith("vllm");
    for (const [dtype, samples] of byDtype)
      tables.push({
        file: entry.file,
        device: name.device,
        dtype,
        engine,
        operands: constant ? "constant" : "random",
        samples,
      });
  }
  return tables;
}
