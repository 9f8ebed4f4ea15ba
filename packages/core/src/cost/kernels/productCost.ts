// What matrix products cost: one, or one for each of several groups.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { Cost, GemmQuery, GroupedGemmQuery } from "../types.ts";
import { GEMM_PARAMS, type GemmShape, gemmSeconds, issuedFlops } from "./gemmModel.ts";
import { adjustedParams, boostRows, coldFloorSec, GROUPED_OVERLAP, LAYOUT_INDEX, layoutSlowdown } from "./gemmPrice.ts";
import { coversGemm, gemmResidual, TRAIN_LOOKUPS } from "./lookups.ts";
import { type KernelConditions, price, relativeClock, starts, trainRatio } from "./pricing.ts";
import type { TableFamily } from "./registry.ts";
import { kernelFloorSec, peakFlopsPerSec } from "./roofline.ts";
import { gemmShape, quantisesActivation } from "./shapes.ts";

const GEMM_START = starts(GEMM_PARAMS);

export interface ProductCosts {
  gemm(device: DeviceSpec, query: GemmQuery, conditions: KernelConditions): Cost;
  grouped(device: DeviceSpec, query: GroupedGemmQuery, conditions: KernelConditions): Cost;
}

/** @param devices of the tables, by id. */
export function productCosts(
  { gemm, gemmTrain, groupedTrain }: Readonly<Record<"gemm" | "gemmTrain" | "groupedTrain", TableFamily>>,
  devices: ReadonlyMap<string, DeviceSpec>,
): ProductCosts {
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
          devices,
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

  return { gemm: gemmCost, grouped: groupedCost };
}

/** FLOPs of a product that draw power: an FMA lane spends its instruction on padding too, a tensor core next to nothing on zeros. */
function poweredFlops(device: DeviceSpec, shape: GemmShape, params: readonly number[]): number {
  const { m, n, k, batch, dtype } = shape;
  return dtype === "fp32" ? issuedFlops(device, shape, params) : 2 * m * n * k * batch;
}
