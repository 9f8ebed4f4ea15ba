// How fast single ops run inside a step, against the same ops alone with the newest kernels: the clock that power allows (power.ts), the bandwidth
// that memory-bound kernels find, and the age of the kernel library.
//
// Memory: tables of memory-bound kernels were measured by replaying one kernel on one set of buffers. Inside a step buffers are cold, pages miss the TLB,
// kernels are short and drain alone, and frameworks run small helpers that no op list names (zero fills, layout copies, reductions of statistics).
//
// Network: collective tables come from loops in which ranks stay in step and channels stay open. Inside a step every call starts cold, with the ranks
// skewed by whatever ran before, and shares memory bandwidth with it.
//
// What was measured inside steps (conditions `step` of a calibration) has all of this in it and is taken as it is.
//
// Library: the tables were measured in 2026. Matrix kernels of cuBLAS, cuDNN and CUTLASS keep improving for some years after an architecture ships
// (MLPerf results on unchanged H100 systems rose by a quarter from v3.0 to v4.0); a framework release of a given date has the kernels of that date.

import type { ClusterSpec, DeviceSpec } from "../cluster/types.ts";
import type { PricedOp } from "../cost/priceOps.ts";
import type { Software } from "../parallel/strategy.ts";

export interface PaceParameters {
  /** Bandwidth of memory-bound kernels inside a step over the one a replayed kernel reaches. */
  readonly memoryFrac: number;
  /** Rate of collectives and messages inside a step over the one in a benchmark's loop. */
  readonly networkFrac: number;
  /** Share by which matrix kernels of an architecture's first year are slower than mature ones. */
  readonly libraryGapFrac: number;
  /** Years in which that gap shrinks by a factor e. */
  readonly libraryYears: number;
}

/** Estimated once over all measured training rows (docs/accuracy.md says how, and the intervals). */
export const defaultPace: PaceParameters = {
  memoryFrac: 0.6,
  networkFrac: 0.55,
  libraryGapFrac: 0.2,
  libraryYears: 0.8,
};

export interface Pace {
  readonly memoryFrac: number;
  readonly networkFrac: number;
  /** Rate of matrix kernels over boost clock and mature libraries. */
  readonly matrixFrac: number;
  /** Sustained clock over boost clock. */
  readonly clockFrac: number;
  /** Seconds that interruptions take per second of an op (interruptions.ts). */
  readonly lostFrac: number;
  /** Measured prices of kernels and of collectives come from inside steps. */
  readonly kernelsInStep: boolean;
  readonly networkInStep: boolean;
}

/** @param cluster as the device's ranks see it. @param clockFrac sustained clock over boost clock. */
export function paceOf(cluster: ClusterSpec, software: Software, clockFrac: number, parameters: PaceParameters): Pace {
  const { device } = cluster;
  const inStep = {
    clockFrac,
    lostFrac: 0,
    kernelsInStep: device.measured?.conditions === "step",
    networkInStep: cluster.measured?.conditions === "step",
  };
  // A step compiled and launched as one program (XLA) has no helpers, no skew between ranks beyond noise, and ships its own kernels.
  if (software.compiled && software.cudaGraphs === "full")
    return { memoryFrac: 1, networkFrac: 1, matrixFrac: clockFrac, ...inStep };
  const { memoryFrac, networkFrac } = parameters;
  return { memoryFrac, networkFrac, matrixFrac: clockFrac * libraryFrac(device, software, parameters), ...inStep };
}

function libraryFrac(device: DeviceSpec, software: Software, parameters: PaceParameters): number {
  const ageYears = Math.max(0, yearOf(software.date) - shippedYear(device));
  return 1 / (1 + parameters.libraryGapFrac * Math.exp(-ageYears / parameters.libraryYears));
}

/** Software dates are `2023`, `2023-10`; a bare year stands for its middle. */
function yearOf(date: string): number {
  const [year, month] = date.split("-").map(Number);
  return (year ?? 0) + (month === undefined ? 0.5 : (month - 0.5) / 12);
}

/** When the architecture's first data-centre part shipped in volume; kernels are written per architecture, so H200 inherits H100's. */
function shippedYear(device: DeviceSpec): number {
  const arch = device.arch.toLowerCase();
  for (const [name, year] of firstShipped) if (arch.startsWith(name)) return year;
  return device.year + 0.5;
}

/** Vendors' announcements of general availability. */
const firstShipped: readonly (readonly [string, number])[] = [
  ["volta", 2017.7],
  ["turing", 2018.8],
  ["ampere", 2020.5],
  ["ada", 2022.8],
  ["hopper", 2022.8],
  ["blackwell", 2025.0],
];

/** The op as it runs inside the step. Copies between tiers have their own limits (contention.ts). */
export function paced(op: PricedOp, pace: Pace): PricedOp {
  const rate = rateOf(op, pace) / (1 + pace.lostFrac);
  return rate === 1 ? op : { ...op, durationSec: op.durationSec / rate };
}

function rateOf(op: PricedOp, pace: Pace): number {
  const isNetwork = op.level >= 0;
  const measuredInStep = op.source === "measured" && (isNetwork ? pace.networkInStep : pace.kernelsInStep);
  if (measuredInStep) return op.matrix ? pace.clockFrac : 1;
  if (op.matrix) return pace.matrixFrac;
  if (isNetwork) return pace.networkFrac;
  return op.kind === "compute" ? pace.memoryFrac : 1;
}
