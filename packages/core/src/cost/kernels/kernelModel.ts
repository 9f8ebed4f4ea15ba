// Prices one kernel on one device: physics with fitted parameters times the residual of the nearest measured table.
//
// Order of trust: the device's own table at this format; else up to three siblings (registry.ts), whose parameters and residuals are relative to
// their device's limits and so carry over; else nothing is known and the starting parameters stand.

import type { DeviceSpec } from "../../cluster/types.ts";
import { unreachable } from "../../units/errors.ts";
import type {
  AttentionQuery,
  Cost,
  DecodeAttentionQuery,
  FusedMoeQuery,
  GemmDType,
  GemmQuery,
  GroupedGemmQuery,
  KernelQuery,
  MlaAttentionQuery,
} from "../types.ts";
import { backwardRatio, forwardSpeed } from "./attentionImpl.ts";
import { ATTENTION_PARAMS, attentionSeconds, DECODE_PARAMS, decodeSeconds } from "./attentionModel.ts";
import { ELEMENTWISE_OPS, ELEMENTWISE_PARAMS, elementwiseSeconds } from "./elementwiseModel.ts";
import { GEMM_PARAMS, type GemmShape, gemmSeconds, issuedFlops } from "./gemmModel.ts";
import { adjustedParams, boostRows, coldFloorSec, GROUPED_OVERLAP, LAYOUT_INDEX, layoutSlowdown } from "./gemmPrice.ts";
import type { GridTable, PackedFamily } from "./gridTable.ts";
import {
  attentionResidual,
  coversGemm,
  decodeResidual,
  elementwiseResidual,
  gemmResidual,
  mixedResidual,
  mlaResidual,
  moeResidual,
  TRAIN_LOOKUPS,
  type TrainLookup,
  trainResidual,
} from "./lookups.ts";
import { defaultMemoryParams, memorySeconds, scanSeconds } from "./memoryModel.ts";
import { MIXED_PARAMS, type MixedShape, mixedSeconds } from "./mixedModel.ts";
import { fusedMoeSeconds, MOE_PARAMS } from "./moeModel.ts";
import { boostUtilisation, type PowerConditions, sustainedClockFrac } from "./power.ts";
import { TableFamily } from "./registry.ts";
import { archFamily, kernelFloorSec, peakFlopsPerSec } from "./roofline.ts";
import {
  attentionShape,
  decodeShape,
  gemmShape,
  mlaDecodeShape,
  mlaPrefillShape,
  quantisesActivation,
} from "./shapes.ts";

/** Families of tables, as data files hold them. */
export interface KernelTables {
  readonly gemm: PackedFamily;
  readonly gemmTrain: PackedFamily;
  readonly groupedTrain: PackedFamily;
  readonly attentionTrain: PackedFamily;
  readonly attention: PackedFamily;
  readonly decode: PackedFamily;
  readonly mlaPrefill: PackedFamily;
  readonly mlaDecode: PackedFamily;
  readonly moe: PackedFamily;
  readonly elementwise: PackedFamily;
  readonly mixed: PackedFamily;
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
  /** One attention call of an inference engine over a prefill chunk and decodes together. */
  mixed(device: DeviceSpec, shape: MixedShape, dtype: string): Cost;
}

export interface ElementwiseQuery {
  readonly op: string;
  readonly tokens: number;
  readonly width: number;
  readonly sizeBytes: number;
  readonly dtype: string;
}

/** Uncertainty of a sibling's answer grows with its distance; of bare physics, see docs/cost-kernels.md. */
const SIBLING_STD = 0.12;
const ANALYTIC_STD = 0.3;
/** Spread between well-written streaming kernels of one device (elementwise tables, 100 MB and more). */
const MEMORY_STD = 0.12;

const starts = (params: readonly { readonly start: number }[]): readonly number[] => params.map(({ start }) => start);
const GEMM_START = starts(GEMM_PARAMS);
const ATTENTION_START = starts(ATTENTION_PARAMS);
const DECODE_START = starts(DECODE_PARAMS);
const MIXED_START = starts(MIXED_PARAMS);
const MOE_START = starts(MOE_PARAMS);
const ELEMENTWISE_START = starts(ELEMENTWISE_PARAMS);

/** Fused attention is written per number format (layouts of V, accumulators, two-stage softmax), more than products are. */
const ATTENTION_FORMAT_WEIGHT = 1.5;

/** Waves after which a device counts as full, and the share of the forward pass's uneven part that backward keeps (attention_train, few heads). */
const FULL_WAVES = 16;
const BACKWARD_TAIL = 0.3;

export function createKernelModel(tables: KernelTables, devices: ReadonlyMap<string, DeviceSpec>): KernelModel {
  const family = (packed: PackedFamily, formatWeight = 1): TableFamily =>
    new TableFamily(packed, devices, formatWeight);
  const gemm = family(tables.gemm);
  const gemmTrain = family(tables.gemmTrain);
  const groupedTrain = family(tables.groupedTrain);
  const attentionTrain = family(tables.attentionTrain);
  const attention = family(tables.attention, ATTENTION_FORMAT_WEIGHT);
  const decode = family(tables.decode);
  const mlaPrefill = family(tables.mlaPrefill);
  const mlaDecode = family(tables.mlaDecode);
  const moe = family(tables.moe);
  const elementwise = family(tables.elementwise);
  const mixed = family(tables.mixed);

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
    const choice =
      (covers === undefined
        ? undefined
        : choices.find(({ own, tables: [table] }) => own && table !== undefined && covers(table))) ?? choices[0];
    if (choice === undefined)
      return { durationSec: seconds(start, undefined), source: "analytic", relStd: ANALYTIC_STD };
    let sumLog = 0;
    let relStd = 0;
    for (let i = 0; i < choice.tables.length; i++) {
      const table = choice.tables[i] as GridTable;
      const weight = choice.weights[i] as number;
      sumLog += weight * Math.log(seconds(table.packed.params, table));
      relStd += weight * table.packed.relStd;
    }
    const durationSec = Math.exp(sumLog);
    if (choice.own) return { durationSec, source: "interpolated", relStd };
    return { durationSec, source: "sibling", relStd: Math.hypot(relStd, SIBLING_STD * Math.min(2, choice.distance)) };
  }

  function gemmCost(
    device: DeviceSpec,
    query: GemmQuery,
    conditions: KernelConditions,
    maxOverlap = Number.POSITIVE_INFINITY,
  ): Cost {
    const { m, n, k, batch, dtype } = query;
    const shape = gemmShape(device, query);
    // The launch of the quantisation kernel is part of the fitted floor of these tables.
    const launchUs =
      !query.includesQuantisation && quantisesActivation(device, dtype) ? kernelFloorSec(device) * 1e6 : 0;
    const rows = Math.min(m * batch, 32768);
    const layoutIndex = LAYOUT_INDEX[query.layout];
    const benchmark = query.warmCache && !conditions.realOperands;
    const cost = price(
      gemm,
      device,
      dtype,
      GEMM_START,
      (params, table) => {
        const fitted = adjustedParams(params, launchUs, maxOverlap);
        const residual =
          table === undefined
            ? 1
            : Math.exp(
                gemmResidual(table, benchmark ? rows : boostRows(device, table, query, rows), n, k, layoutIndex),
              );
        const atBoost = gemmSeconds(device, shape, fitted) * residual;
        if (benchmark) return atBoost;
        const clock = relativeClock(
          device,
          table,
          dtype,
          poweredFlops(device, shape, fitted) / atBoost / peakFlopsPerSec(device, dtype),
          conditions,
        );
        return clock === 1 ? atBoost : gemmSeconds(device, shape, fitted, clock) * residual;
      },
      (table) => coversGemm(table, n, k, layoutIndex),
    );
    // Benchmarks replay shapes as their tables hold them; those with odd ones pad the leading dimension or run in fp32.
    if (query.warmCache) return cost;
    const slowdown = layoutSlowdown(query);
    const coordinates = [m, n, k, layoutIndex, query.accumulate ? 1 : 0, query.outDtype === "fp32" ? 1 : 0];
    const trained = batch === 1 ? trainRatio(gemmTrain, device, dtype, coordinates, TRAIN_LOOKUPS.gemm) : 1;
    const durationSec = Math.max(coldFloorSec(device, query), cost.durationSec * slowdown * trained);
    return { ...cost, durationSec };
  }

  /** FLOPs of a product that draw power: an FMA lane spends its instruction on padding too, a tensor core next to nothing on zeros. */
  function poweredFlops(device: DeviceSpec, shape: GemmShape, params: readonly number[]): number {
    const { m, n, k, batch, dtype } = shape;
    return dtype === "fp32" ? issuedFlops(device, shape, params) : 2 * m * n * k * batch;
  }

  /** Clock on real data over the clock the table was measured at. */
  function relativeClock(
    device: DeviceSpec,
    table: GridTable | undefined,
    dtype: GemmDType,
    utilisationFrac: number,
    conditions: KernelConditions,
  ): number {
    const measured =
      table === undefined || table.packed.operands === "constant" ? undefined : devices.get(table.packed.device);
    if (measured === undefined) return sustainedClockFrac(device, dtype, utilisationFrac, conditions);
    // A device's own table is read at the load that was measured, as the energies of a FLOP were estimated (docs/accuracy.md); another's at the load behind its limit.
    const atBoost = measured.id === device.id ? utilisationFrac : boostUtilisation(measured, dtype, utilisationFrac);
    return sustainedClockFrac(device, dtype, atBoost, conditions) / sustainedClockFrac(measured, dtype, atBoost);
  }

  /** Measured training kernels over the price from inference tables; 1 where none was measured. */
  function trainRatio(
    tablesOf: TableFamily,
    device: DeviceSpec,
    dtype: string,
    coordinates: readonly number[],
    lookup: TrainLookup,
  ): number {
    const choice = tablesOf.choices(device, dtype)[0];
    const table = choice?.own ? choice.tables[0] : undefined;
    return table === undefined ? 1 : Math.exp(trainResidual(table, coordinates, lookup));
  }

  /** Grouped products are one batched product whose operand loads overlap little with the math of the group before. */
  function groupedCost(device: DeviceSpec, query: GroupedGemmQuery, conditions: KernelConditions): Cost {
    const meanRows = Math.max(1, query.totalRows / query.groups);
    const { n, k, dtype, layout, accumulate, outDtype } = query;
    const [rows, columns, depth] =
      layout === "NT" ? [n, k, meanRows] : layout === "NN" ? [meanRows, k, n] : [meanRows, n, k];
    const product = {
      kind: "gemm",
      m: rows,
      n: columns,
      k: depth,
      batch: query.groups,
      dtype,
      layout,
      accumulate,
    } as const;
    const overlap = layout === "NT" ? undefined : GROUPED_OVERLAP;
    const cost = gemmCost(
      device,
      { ...product, outDtype, includesQuantisation: false, warmCache: false },
      conditions,
      overlap,
    );
    const trained = trainRatio(
      groupedTrain,
      device,
      dtype,
      [query.groups, meanRows, n, k, LAYOUT_INDEX[layout], outDtype === "fp32" ? 1 : 0],
      TRAIN_LOOKUPS.grouped,
    );
    return { ...cost, durationSec: cost.durationSec * trained };
  }

  function attentionCost(device: DeviceSpec, query: AttentionQuery, conditions: KernelConditions): Cost {
    const warm = conditions.warm ?? false;
    const arch = archFamily(device);
    const speed = forwardSpeed(arch, query.impl);
    const forwardOf = (batch: number): Cost => {
      const shape = attentionShape({ ...query, batch }, warm);
      const workFlops = 2 * batch * shape.heads * shape.pairs * (shape.headDim + shape.vHeadDim);
      return price(attention, device, query.dtype, ATTENTION_START, (params, table) => {
        const residual = Math.exp(table === undefined ? 0 : attentionResidual(table, query, batch, query.seqQ));
        const measuredSec = attentionSeconds(device, shape, params, speed) * residual;
        const clock = relativeClock(
          device,
          table,
          query.dtype,
          workFlops / measuredSec / peakFlopsPerSec(device, query.dtype),
          conditions,
        );
        return clock === 1 ? measuredSec : attentionSeconds(device, shape, params, speed * clock) * residual;
      });
    };
    const forward = forwardOf(query.batch);
    const coordinates = [
      query.phase === "backward" ? 1 : 0,
      query.seqQ,
      query.heads * query.batch,
      query.kvHeads * query.batch,
      query.headDim,
    ];
    const trained =
      warm || query.impl === "flash1"
        ? 1
        : trainRatio(attentionTrain, device, query.dtype, coordinates, TRAIN_LOOKUPS.attention);
    if (query.phase === "forward")
      return trained === 1 ? forward : { ...forward, durationSec: forward.durationSec * trained };
    // Backward has more and more equal tiles (key blocks too), so its last wave costs less: part of it goes at the rate of a full device.
    const filling = Math.max(
      1,
      Math.ceil((FULL_WAVES * device.units) / (Math.ceil(query.seqQ / 128) * query.heads * query.batch)),
    );
    const fullSec = filling === 1 ? forward.durationSec : forwardOf(query.batch * filling).durationSec / filling;
    const unevenSec = Math.max(0, forward.durationSec - fullSec);
    const durationSec =
      3 * kernelFloorSec(device) +
      (fullSec + BACKWARD_TAIL * unevenSec) * backwardRatio(arch, query.impl, query.headDim);
    return { ...forward, durationSec: durationSec * trained, relStd: Math.hypot(forward.relStd, 0.08) };
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

  return {
    cost(device, query, conditions = {}) {
      switch (query.kind) {
        case "gemm":
          return gemmCost(device, query, conditions);
        case "groupedGemm":
          return groupedCost(device, query, conditions);
        case "attention":
          return attentionCost(device, query, conditions);
        case "decodeAttention":
          return decodeCost(device, query, conditions.warm ?? false);
        case "mlaAttention":
          return mlaCost(device, query, conditions.warm ?? false);
        case "fusedMoe":
          return moeCost(device, query);
        case "memory":
          return {
            durationSec: memorySeconds(device, query, defaultMemoryParams(device)),
            source: "fit",
            relStd: MEMORY_STD,
          };
        case "scan":
          return {
            durationSec: scanSeconds(device, query, defaultMemoryParams(device)),
            source: "analytic",
            relStd: ANALYTIC_STD,
          };
        default:
          return unreachable(query);
      }
    },
    mixed(device, shape, dtype) {
      return price(
        mixed,
        device,
        dtype,
        MIXED_START,
        (params, table) =>
          mixedSeconds(device, shape, params) * Math.exp(table === undefined ? 0 : mixedResidual(table, shape)),
      );
    },
    elementwise(device, query) {
      const index = ELEMENTWISE_OPS.indexOf(query.op);
      return price(elementwise, device, query.dtype, ELEMENTWISE_START, (params, table) => {
        const residual = table === undefined || index < 0 ? 0 : elementwiseResidual(table, index, query);
        return elementwiseSeconds(device, index, query.sizeBytes, params) * Math.exp(residual);
      });
    },
  };
}
