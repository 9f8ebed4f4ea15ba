// How any kernel is priced from tables: the first choice that covers it, logs of several averaged, clocks of table and device compared, and what was measured of
// training kernels on top. Shared by the families of kernels (productCost.ts, attentionCost.ts, kernelModel.ts).

import type { DeviceSpec } from "../../cluster/types.ts";
import type { Cost, GemmDType } from "../types.ts";
import type { GridTable } from "./gridTable.ts";
import { type TrainLookup, trainResidual } from "./lookups.ts";
import { boostUtilisation, type PowerConditions, sustainedClockFrac } from "./power.ts";
import type { TableFamily } from "./registry.ts";

/** Circumstances of a price that the kernel itself does not say. */
export interface KernelConditions extends PowerConditions {
  /** Buffers of attention and MoE kernels may stay in L2 between calls, as in replayed benchmarks. A GEMM query says so itself. Default false. */
  readonly warm?: boolean;
  /** Operands are real numbers, not constants, although the cache is warm: the power limit applies (power.ts). Cold prices always assume so. */
  readonly realOperands?: boolean;
}

/** Uncertainty of a sibling's answer grows with its distance; of bare physics, see docs/cost-kernels.md. */
const SIBLING_STD = 0.12;
export const ANALYTIC_STD = 0.3;

/** Starting points of a model's parameters, which stand where no table does. */
export function starts(params: readonly { readonly start: number }[]): readonly number[] {
  return params.map(({ start }) => start);
}

/** Prices with the first choice that `covers` the query, averaging logs over its tables. */
export function price(
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
  if (choice === undefined) return { durationSec: seconds(start, undefined), source: "analytic", relStd: ANALYTIC_STD };
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

/** Clock on real data over the clock the table was measured at. */
export function relativeClock(
  devices: ReadonlyMap<string, DeviceSpec>,
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
export function trainRatio(
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
