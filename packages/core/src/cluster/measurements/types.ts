// Measurements of a user's own machine: what `meshwright calibrate` writes and `calibration:` in a job reads. docs/calibration.md documents the file.
//
// Every point is one kernel or one collective: timed alone in a loop, as the shipped tables are, or inside training steps (`conditions`). Points are kept as they were
// measured; how they change a price stands in cost/measurements.

import type { ClusterSpec, DeviceSpec } from "../types.ts";

export const calibrationFormat = "meshwright.calibration";
export const calibrationVersion = 1;

/** Number formats of a multiplication that can be measured; names as in a spec. */
export const measuredDTypes = ["bf16", "fp16", "tf32", "fp32", "fp8", "fp8_block", "mxfp8", "nvfp4", "int8"] as const;
export type MeasuredDType = (typeof measuredDTypes)[number];

export const memoryAccesses = ["stream", "gather", "reduce", "transpose", "activation"] as const;

/** As files name collectives. */
export const collectiveNames = {
  all_reduce: "allReduce",
  all_gather: "allGather",
  reduce_scatter: "reduceScatter",
  all_to_all: "allToAll",
  broadcast: "broadcast",
  send_recv: "sendRecv",
} as const;
export type CollectiveName = keyof typeof collectiveNames;

/**
 * Where points were taken. loop: one kernel again and again, one collective between ranks that keep step. step: operands, caches and ranks as a training step has
 * them, so a prediction takes the points as they are (simulate/pace.ts).
 */
export const measurementConditions = ["loop", "step"] as const;
export type MeasurementConditions = (typeof measurementConditions)[number];

export interface GemmPoint {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly dtype: MeasuredDType;
  readonly layout: "TN" | "NN" | "NT";
  readonly durationSec: number;
}

export interface AttentionPoint {
  readonly phase: "forward" | "backward";
  readonly batch: number;
  readonly seq: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly causal: boolean;
  readonly dtype: "bf16" | "fp16";
  readonly durationSec: number;
}

/** `sizeBytes` read plus written by `numKernels` kernels. */
export interface MemoryPoint {
  /** The one kernel that was measured (MemoryQuery.kernel); absent: any of its access. */
  readonly kernel?: string;
  readonly access: (typeof memoryAccesses)[number];
  readonly sizeBytes: number;
  readonly numKernels: number;
  readonly durationSec: number;
}

/**
 * sizeBytes: all-reduce one rank's buffer, all-gather the gathered output, reduce-scatter the whole input, all-to-all one rank's whole send buffer,
 * broadcast and send-receive the message.
 */
export interface CollectivePoint {
  readonly op: (typeof collectiveNames)[CollectiveName];
  readonly ranks: number;
  readonly ranksPerNode: number;
  readonly sizeBytes: number;
  readonly durationSec: number;
}

export interface KernelPoints {
  readonly gemm: readonly GemmPoint[];
  readonly attention: readonly AttentionPoint[];
  readonly memory: readonly MemoryPoint[];
}

/** With the device they were measured on: a part that is changed afterwards (a faster clock, say) keeps the ratios that its measurements showed. */
export interface MeasuredKernels {
  readonly points: KernelPoints;
  readonly conditions: MeasurementConditions;
  readonly on: DeviceSpec;
}

export interface MeasuredCollectives {
  readonly points: readonly CollectivePoint[];
  readonly conditions: MeasurementConditions;
  readonly on: ClusterSpec;
}

export interface Calibration {
  /** Name of a device of the catalogue, or an inline device as a cluster describes one. */
  readonly device: unknown;
  /** The measured machine as a `cluster` section, where the file describes one. */
  readonly cluster: unknown;
  /** Tool, date, software: free text by key. */
  readonly measured: Readonly<Record<string, string>>;
  readonly conditions: MeasurementConditions;
  readonly kernels: KernelPoints;
  readonly collectives: readonly CollectivePoint[];
}
