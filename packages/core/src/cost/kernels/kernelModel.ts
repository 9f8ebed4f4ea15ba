// Prices one kernel on one device: physics with fitted parameters times the residual of the nearest measured table.
//
// Order of trust: the device's own table at this format; else up to three siblings (registry.ts), whose parameters and residuals are relative to
// their device's limits and so carry over; else nothing is known and the starting parameters stand.

import type { DeviceSpec } from "../../cluster/types.ts";
import { unreachable } from "../../units/errors.ts";
import type { AttentionQuery, Cost, DecodeAttentionQuery, FusedMoeQuery, GemmDType, GemmQuery, GroupedGemmQuery, KernelQuery, MlaAttentionQuery } from "../types.ts";
import { backwardRatio, forwardSpeed } from "./attentionImpl.ts";
import { ATTENTION_PARAMS, attentionSeconds, DECODE_PARAMS, decodeSeconds } from "./attentionModel.ts";
import { GEMM_PARAMS, gemmSeconds } from "./gemmModel.ts";
import type { GridTable, PackedFamily } from "./gridTable.ts";
import { attentionResidual, coversGemm, decodeResidual, elementwiseResidual, gemmResidual, mlaResidual, moeResidual, trainGemmResidual } from "./lookups.ts";
import { defaultMemoryParams, memorySeconds, scanSeconds, streamSeconds } from "./memoryModel.ts";
import { fusedMoeSeconds, MOE_PARAMS } from "./moeModel.ts";
import { type PowerConditions, sustainedClockFrac } from "./power.ts";
import { TableFamily } from "./registry.ts";
import { archFamily, kernelFloorSec, operandBytes, peakFlopsPerSec } from "./roofline.ts";
import { attentionShape, decodeShape, gemmShape, mlaDecodeShape, mlaPrefillShape, quantisesActivation } from "./shapes.ts";

/** Families of tables, as data files hold them. */
export interface KernelTables {
  readonly gemm: PackedFamily;
  readonly gemmTrain: PackedFamily;
  readonly attention: PackedFamily;
  readonly decode: PackedFamily;
  readonly mlaPrefill: PackedFamily;
  readonly mlaDecode: PackedFamily;
  readonly moe: PackedFamily;
  readonly elementwise: PackedFamily;
}

/** Circumstances of a price that the kernel itself does not say. */
export interface KernelConditions extends PowerConditions {
  /** Buffers of attention and MoE kernels may stay in L2 between calls, as in replayed benchmarks. A GEMM query says so itself. Default false. */
  readonly warm?: boolean;
  /** Operands are real numbers, not constants, although the cache is warm: the power limit applies (power.ts). Cold prices always assume so. */
  readonly realOperands?: boolean;
}

export interface KernelModel {
  cost(device: DeviceSpec, query: KernelQuery, conditions?: KernelConditions): Cost;
  /** One named elementwise kernel as inference engines call it, on warm buffers. */
  elementwise(device: DeviceSpec, query: ElementwiseQuery): Cost;
}

export interface ElementwiseQuery {
  readonly op: string;
  readonly tokens: number;
  readonly width: number;
  readonly sizeBytes: number;
  readonly dtype: string;
}

/** Row order of the `op` coordinate of the elementwise tables. */
export const ELEMENTWISE_OPS: readonly string[] = ["embedding", "fp8_quant_static", "gelu", "layernorm", "residual_add", "residual_add3", "rmsnorm", "rope", "silu_mul"];

/** Uncertainty of a sibling's answer grows with its distance; of bare physics, see docs/cost-kernels.md. */
const SIBLING_STD = 0.12;
const ANALYTIC_STD = 0.3;

const starts = (params: readonly { readonly start: number }[]): readonly number[] => params.map(({ start }) => start);
const GEMM_START = starts(GEMM_PARAMS);
const ATTENTION_START = starts(ATTENTION_PARAMS);
const DECODE_START = starts(DECODE_PARAMS);
const MOE_START = starts(MOE_PARAMS);

/** Leading dimensions that are not multiples of 16 bytes keep tensor cores waiting (NVIDIA, Matrix Multiplication Background, section 4.1). */
const UNALIGNED_SLOWDOWN = 1.8;

/** Power norm between loads and math of grouped forward and data-gradient products (grouped_gemm_train on A100 PCIe and B200); a single product fits near 3. */
const GROUPED_OVERLAP = 1.35;

/** Epilogue of C += A B into fp32 beyond its traffic: 4 % on A100 PCIe, 5 % on B200 (gemm_train, NT against TN). */
const WEIGHT_GRADIENT_SLOWDOWN = 1.04;

export function createKernelModel(tables: KernelTables, devices: ReadonlyMap<string, DeviceSpec>): KernelModel {
  const family = (packed: PackedFamily): TableFamily => new TableFamily(packed, devices);
  const gemm = family(tables.gemm);
  const gemmTrain = family(tables.gemmTrain);
  const attention = family(tables.attention);
  const decode = family(tables.decode);
  const mlaPrefill = family(tables.mlaPrefill);
  const mlaDecode = family(tables.mlaDecode);
  const moe = family(tables.moe);
  const elementwise = family(tables.elementwise);

  /** Prices with the first choice that `covers` the query, averaging logs over its tables. */
  function price(
    tablesOf: TableFamily,
    device: DeviceSpec,
    dtype: string,
    start: readonly number[],
    seconds: (params: readonly number[], table: GridTable | undefined) => number,
    covers?: (table: GridTable) => boolean,
  ): Cost {
    const choices = tablesOf.choices(device, dtype);
    const choice = (covers === undefined ? undefined : choices.find(({ own, tables: [table] }) => own && table !== undefined && covers(table))) ?? choices[0];
    if (choice === undefined) return { durationSec: seconds(start, undefined), source: "analytic", relStd: ANALYTIC_STD };
    let sumLog = 0;
    let sumStd = 0;
    for (const table of choice.tables) {
      sumLog += Math.log(seconds(table.packed.params, table));
      sumStd += table.packed.relStd;
    }
    const durationSec = Math.exp(sumLog / choice.tables.length);
    const relStd = sumStd / choice.tables.length;
    if (choice.own) return { durationSec, source: "interpolated", relStd };
    return { durationSec, source: "sibling", relStd: Math.hypot(relStd, SIBLING_STD * Math.min(2, choice.distance)) };
  }

  function gemmCost(device: DeviceSpec, query: GemmQuery, conditions: KernelConditions, overlap?: number): Cost {
    const { m, n, k, batch, dtype } = query;
    const shape = gemmShape(device, query);
    // The launch of the quantisation kernel is part of the fitted floor of these tables.
    const launchUs = !query.includesQuantisation && quantisesActivation(device, dtype) ? kernelFloorSec(device) * 1e6 : 0;
    const rows = Math.min(m * batch, 32768);
    const layoutIndex = LAYOUT_INDEX[query.layout];
    const benchmark = query.warmCache && !conditions.realOperands;
    const cost = price(
      gemm,
      device,
      dtype,
      GEMM_START,
      (params, table) => {
        const product = launchUs === 0 ? params : withoutLaunch(params, launchUs);
        const fitted = overlap === undefined ? product : product.map((value, index) => (index === OVERLAP_INDEX ? Math.min(value, overlap) : value));
        const residual = table === undefined ? 1 : Math.exp(gemmResidual(table, rows, n, k, layoutIndex));
        const atBoost = gemmSeconds(device, shape, fitted) * residual;
        if (benchmark) return atBoost;
        const clock = relativeClock(device, table, dtype, (2 * m * n * k * batch) / atBoost / peakFlopsPerSec(device, dtype), conditions);
        return clock === 1 ? atBoost : gemmSeconds(device, shape, fitted, clock) * residual;
      },
      (table) => coversGemm(table, n, k, layoutIndex),
    );
    const slowdown = alignmentSlowdown(query) * (query.layout === "NT" && query.accumulate ? WEIGHT_GRADIENT_SLOWDOWN : 1);
    if (query.warmCache) return slowdown === 1 ? cost : { ...cost, durationSec: cost.durationSec * slowdown };
    const durationSec = Math.max(coldFloorSec(device, query), cost.durationSec * slowdown * trainingResidual(device, query));
    return { ...cost, durationSec };
  }

  /** Clock on real data over the clock the table was measured at. */
  function relativeClock(device: DeviceSpec, table: GridTable | undefined, dtype: GemmDType, utilisationFrac: number, conditions: KernelConditions): number {
    const clock = sustainedClockFrac(device, dtype, utilisationFrac, conditions);
    const measured = table === undefined || table.packed.operands === "constant" ? undefined : devices.get(table.packed.device);
    return measured === undefined ? clock : clock / sustainedClockFrac(measured, dtype, utilisationFrac);
  }

  /** Measured training products over the price from forward tables; 1 where none was measured. */
  function trainingResidual(device: DeviceSpec, query: GemmQuery): number {
    const choice = gemmTrain.choices(device, query.dtype)[0];
    const table = choice?.own ? choice.tables[0] : undefined;
    if (table === undefined || query.batch !== 1) return 1;
    return Math.exp(trainGemmResidual(table, [query.m, query.n, query.k, LAYOUT_INDEX[query.layout], query.accumulate ? 1 : 0, query.outDtype === "fp32" ? 1 : 0]));
  }

  /** Grouped products are one batched product whose operand loads overlap little with the math of the group before. */
  function groupedCost(device: DeviceSpec, query: GroupedGemmQuery, conditions: KernelConditions): Cost {
    const meanRows = Math.max(1, query.totalRows / query.groups);
    const { n, k, dtype, layout, accumulate } = query;
    const [rows, columns, depth] = layout === "NT" ? [n, k, meanRows] : layout === "NN" ? [meanRows, k, n] : [meanRows, n, k];
    const product = { kind: "gemm", m: rows, n: columns, k: depth, batch: query.groups, dtype, layout, accumulate } as const;
    const outDtype = accumulate ? "fp32" : "bf16";
    const overlap = layout === "NT" ? undefined : GROUPED_OVERLAP;
    return gemmCost(device, { ...product, outDtype, includesQuantisation: false, warmCache: false }, conditions, overlap);
  }

  function attentionCost(device: DeviceSpec, query: AttentionQuery, warm: boolean): Cost {
    const arch = archFamily(device);
    const speed = forwardSpeed(arch, query.impl);
    const shape = attentionShape(query, warm);
    const forward = price(attention, device, query.dtype, ATTENTION_START, (params, table) => {
      const residual = table === undefined ? 0 : attentionResidual(table, query, query.batch, query.seqQ);
      return attentionSeconds(device, shape, params, speed) * Math.exp(residual);
    });
    if (query.phase === "forward") return forward;
    const floorSec = 3 * kernelFloorSec(device);
    return { ...forward, durationSec: floorSec + forward.durationSec * backwardRatio(arch, query.impl, query.headDim), relStd: Math.hypot(forward.relStd, 0.08) };
  }

  function decodeCost(device: DeviceSpec, query: DecodeAttentionQuery, warm: boolean): Cost {
    const shape = decodeShape(query, warm);
    return price(decode, device, query.dtype, DECODE_START, (params, table) => {
      const residual = table === undefined ? 0 : decodeResidual(table, query);
      return decodeSeconds(device, shape, params) * Math.exp(residual);
    });
  }

  function mlaCost(device: DeviceSpec, query: MlaAttentionQuery, warm: boolean): Cost {
    if (query.phase === "prefill") {
      return price(mlaPrefill, device, query.dtype, ATTENTION_START, (params, table) => {
        const residual = table === undefined ? 0 : mlaResidual(table, query.batch, query.seq, query.heads);
        return attentionSeconds(device, mlaPrefillShape(query, warm), params) * Math.exp(residual);
      });
    }
    return price(mlaDecode, device, query.dtype, DECODE_START, (params, table) => {
      const residual = table === undefined ? 0 : mlaResidual(table, query.batch, query.seq, query.heads);
      return decodeSeconds(device, mlaDecodeShape(query, warm), params) * Math.exp(residual);
    });
  }

  function moeCost(device: DeviceSpec, query: FusedMoeQuery): Cost {
    return price(moe, device, query.dtype, MOE_START, (params, table) => {
      const residual = table === undefined ? 0 : moeResidual(table, query);
      return fusedMoeSeconds(device, query, params) * Math.exp(residual);
    });
  }

  function memoryParams(device: DeviceSpec): { readonly params: readonly number[]; readonly own: boolean } {
    const choice = [...elementwise.choices(device, "bf16"), ...elementwise.choices(device, "fp8_quant")].find(({ own }) => own);
    return choice?.tables[0] === undefined ? { params: defaultMemoryParams(device), own: false } : { params: choice.tables[0].packed.params, own: true };
  }

  return {
    cost(device, query, conditions = {}) {
      switch (query.kind) {
        case "gemm":
          return gemmCost(device, query, conditions);
        case "groupedGemm":
          return groupedCost(device, query, conditions);
        case "attention":
          return attentionCost(device, query, conditions.warm ?? false);
        case "decodeAttention":
          return decodeCost(device, query, conditions.warm ?? false);
        case "mlaAttention":
          return mlaCost(device, query, conditions.warm ?? false);
        case "fusedMoe":
          return moeCost(device, query);
        case "memory": {
          const { params, own } = memoryParams(device);
          return { durationSec: memorySeconds(device, query, params), source: own ? "fit" : "analytic", relStd: own ? 0.12 : 0.2 };
        }
        case "scan":
          return { durationSec: scanSeconds(device, query, memoryParams(device).params), source: "analytic", relStd: ANALYTIC_STD };
        default:
          return unreachable(query);
      }
    },
    elementwise(device, query) {
      return price(elementwise, device, query.dtype, defaultMemoryParams(device), (params, table) => {
        const index = ELEMENTWISE_OPS.indexOf(query.op);
        const residual = table === undefined || index < 0 ? 0 : elementwiseResidual(table, index, query);
        return streamSeconds(device, query.sizeBytes, params, true) * Math.exp(residual);
      });
    },
  };
}

/** Order of the layout coordinate in tables that have one. */
const LAYOUT_INDEX: Readonly<Record<GemmQuery["layout"], number>> = { TN: 0, NN: 1, NT: 2 };

/** No product beats the time to read its operands from HBM, less what L2 can hold. Warm residuals could otherwise promise that. */
function coldFloorSec(device: DeviceSpec, query: GemmQuery): number {
  const bytes = operandBytes(query.dtype);
  const read = query.batch * query.k * (query.m * bytes.activation + query.n * bytes.weight);
  return Math.max(0, read - device.l2Bytes) / device.memoryBytesPerSec;
}

/** Parameters of the product alone, where the table's floor holds one launch more. */
function withoutLaunch(params: readonly number[], launchUs: number): readonly number[] {
  const copy = [...params];
  copy[FLOOR_INDEX] = Math.max(launchUs, (params[FLOOR_INDEX] as number) - launchUs);
  return copy;
}
const OVERLAP_INDEX = GEMM_PARAMS.findIndex(({ name }) => name === "overlap");
const FLOOR_INDEX = GEMM_PARAMS.findIndex(({ name }) => name === "floorUs");

/** 1, or the slow path when a leading dimension of the layout is no multiple of 8 elements. */
function alignmentSlowdown(query: GemmQuery): number {
  const leading = query.layout === "TN" ? [query.k, query.n] : query.layout === "NN" ? [query.k, query.n] : [query.m, query.n];
  return leading.every((size) => size % 8 === 0) ? 1 : UNALIGNED_SLOWDOWN;
}
