// Prices one kernel on one device: physics with fitted parameters times the residual of the nearest measured table.
//
// Order of trust: the device's own table at this format; else up to three siblings (registry.ts), whose parameters and residuals are relative to
// their device's limits and so carry over; else nothing is known and the starting parameters stand.

import type { DeviceSpec } from "../../cluster/types.ts";
import { unreachable } from "../../units/errors.ts";
import type { Cost, FusedMoeQuery, KernelQuery } from "../types.ts";
import { attentionCosts } from "./attentionCost.ts";
import { ELEMENTWISE_OPS, ELEMENTWISE_PARAMS, elementwiseSeconds } from "./elementwiseModel.ts";
import type { PackedFamily } from "./gridTable.ts";
import { elementwiseResidual, mixedResidual, moeResidual } from "./lookups.ts";
import { defaultMemoryParams, memorySeconds, scanSeconds } from "./memoryModel.ts";
import { MIXED_PARAMS, type MixedShape, mixedSeconds } from "./mixedModel.ts";
import { fusedMoeSeconds, MOE_PARAMS } from "./moeModel.ts";
import { ANALYTIC_STD, type KernelConditions, price, starts } from "./pricing.ts";
import { productCosts } from "./productCost.ts";
import { TableFamily } from "./registry.ts";

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

/** Spread between well-written streaming kernels of one device (elementwise tables, 100 MB and more). */
const MEMORY_STD = 0.12;

const MIXED_START = starts(MIXED_PARAMS);
const MOE_START = starts(MOE_PARAMS);
const ELEMENTWISE_START = starts(ELEMENTWISE_PARAMS);

/** Fused attention is written per number format (layouts of V, accumulators, two-stage softmax), more than products are. */
const ATTENTION_FORMAT_WEIGHT = 1.5;

export function createKernelModel(tables: KernelTables, devices: ReadonlyMap<string, DeviceSpec>): KernelModel {
  const family = (packed: PackedFamily, formatWeight = 1): TableFamily =>
    new TableFamily(packed, devices, formatWeight);
  const products = productCosts(
    {
      gemm: family(tables.gemm),
      gemmTrain: family(tables.gemmTrain),
      groupedTrain: family(tables.groupedTrain),
    },
    devices,
  );
  const attentions = attentionCosts(
    {
      attention: family(tables.attention, ATTENTION_FORMAT_WEIGHT),
      attentionTrain: family(tables.attentionTrain),
      decode: family(tables.decode),
      mlaPrefill: family(tables.mlaPrefill),
      mlaDecode: family(tables.mlaDecode),
    },
    devices,
  );
  const moe = family(tables.moe);
  const elementwise = family(tables.elementwise);
  const mixed = family(tables.mixed);

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
          return products.gemm(device, query, conditions);
        case "groupedGemm":
          return products.grouped(device, query, conditions);
        case "attention":
          return attentions.attention(device, query, conditions);
        case "decodeAttention":
          return attentions.decode(device, query, conditions.warm ?? false);
        case "mlaAttention":
          return attentions.mla(device, query, conditions.warm ?? false);
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
