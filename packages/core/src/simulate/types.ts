// What a simulated step says. Plain values; report/, interop/ and the CLI read nothing else.

import type { RankBuffers } from "./memory/peakBuffers.ts";
import type { TimelineSpans } from "./spans.ts";

export type TimeKind = "compute" | "tp" | "cp" | "ep" | "dp" | "pp" | "copy";

export interface MemoryBreakdown {
  readonly parameterBytes: number;
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  readonly activationBytes: number;
  /** Gathered parameters, kernels' scratch. */
  readonly workspaceBytes: number;
  /** Allocator slack. */
  readonly fragmentationBytes: number;
  /** Context, communication buffers, libraries. */
  readonly reservedBytes: number;
  readonly peakBytes: number;
  readonly capacityBytes: number;
  /** Host memory per rank: offloaded optimizer state and activations; not part of the peak. */
  readonly hostBytes?: number;
}

export interface OpTotal {
  /** Op name in words: `matmul ffn up`, `attention backward`. */
  readonly name: string;
  readonly kind: TimeKind;
  readonly count: number;
  readonly durationSec: number;
  /** Not hidden behind compute. */
  readonly exposedSec: number;
  readonly workFlops: number;
  readonly sizeBytes: number;
  readonly source: string;
}

/** Ranks that run the same program on the same devices: one pipeline rank, all its tp x cp x dp copies (those of one class of pipelines where devices differ). */
export interface RankClass {
  readonly pipelineRank: number;
  readonly numRanks: number;
  /** Seconds of the step: compute (on the compute stream), exposed communication by axis, host copies, host (launch) gaps, bubble, optimizer tail. They add up to the step. */
  readonly computeSec: number;
  readonly exposedSec: Readonly<Record<Exclude<TimeKind, "compute">, number>>;
  readonly totalCommSec: Readonly<Record<Exclude<TimeKind, "compute">, number>>;
  readonly hostSec: number;
  readonly bubbleSec: number;
  readonly optimizerSec: number;
  readonly stragglerSec: number;
  readonly memory: MemoryBreakdown;
  /** In a mixed cluster: the devices these ranks run on, by group. */
  readonly devices?: readonly RankDevices[];
  /** In a mixed cluster: sustained clock over boost of the slowest of them. */
  readonly clockFrac?: number;
  /** Where replicas lie on different devices or have different shares: the class of their pipeline, and the micro-batches of each. */
  readonly pipeline?: number;
  readonly microBatches?: number;
}

export interface RankDevices {
  readonly group: string;
  /** Catalogue id and name. */
  readonly device: string;
  readonly name: string;
  readonly numDevices: number;
}

/** One change that would make an infeasible step fit. */
export interface FitSuggestion {
  /** As fields of the spec: `strategy.recompute` -> `full`, or the section in flow form. */
  readonly changes: Readonly<Record<string, string | number | boolean>>;
  /** Peak memory of the fullest rank after the change. */
  readonly needBytes: number;
  /** Step time after the change, where it was simulated. */
  readonly stepSec?: number;
}

/** What a strategy left to be balanced, in numbers. */
export interface Settled {
  readonly stageLayers?: readonly number[];
  readonly replicaShares?: readonly number[];
}

export interface Infeasible {
  readonly kind: "infeasible";
  readonly settled?: Settled;
  /** memory: of the device. hostMemory: what is offloaded exceeds the device's share of its host's. */
  readonly reason: "memory" | "hostMemory";
  readonly pipelineRank: number;
  /** In a mixed cluster: the devices of that rank. */
  readonly devices?: readonly RankDevices[];
  readonly needBytes: number;
  readonly haveBytes: number;
  readonly memory: MemoryBreakdown;
  /** Buffers alive at the peak, largest first, equal ones together. */
  readonly largestBuffers?: readonly { readonly name: string; readonly count: number; readonly sizeBytes: number }[];
  /** Best first; at most three are shown. */
  readonly suggestions?: readonly FitSuggestion[];
}

/** What a search compares: the figures of a StepResult without its totals by rank and op. */
export interface StepBrief {
  readonly kind: "ok";
  readonly stepSec: number;
  readonly energyJoules: number;
  /** Peak memory of the fullest rank. */
  readonly peakBytes: number;
  /** Sustained clock over boost clock. */
  readonly clockFrac: number;
}

export interface StepResult {
  readonly kind: "ok";
  readonly settled?: Settled;
  readonly stepSec: number;
  /** One standard deviation, relative. */
  readonly relStd: number;
  readonly tokensPerSec: number;
  readonly tokensPerSecPerDevice: number;
  readonly modelFlopsCausal: number;
  readonly modelFlopsNoncausal: number;
  readonly hardwareFlops: number;
  readonly mfuCausal: number;
  readonly mfuNoncausal: number;
  readonly hfu: number;
  readonly energyJoules: number;
  readonly usdPerBillionTokens: number | null;
  /** Worst first is ranks[slowest]. */
  readonly ranks: readonly RankClass[];
  /** Of the rank that works most. */
  readonly opTotals: readonly OpTotal[];
  /** When the caller asked for them: ops of every rank, aligned with `ranks`, without gradient norm and optimizer (RankClass.optimizerSec). */
  readonly rankOps?: readonly (readonly OpTotal[])[];
  /** With `rankOps`: gradient norm, optimizer and their collectives, aligned with `ranks`. */
  readonly updateOps?: readonly (readonly OpTotal[])[];
  /** Clock that the power limit allows, over boost. */
  readonly clockFrac: number;
  /** Index of the rank with the largest peak memory. */
  readonly peakRank: number;
  readonly notes: readonly string[];
  /** Share of the step's priced seconds by cost source. */
  readonly sources: Readonly<Record<string, number>>;
  /** When the caller asked for them: buffers alive at the peak, aligned with `ranks`. */
  readonly buffers?: readonly RankBuffers[];
  /** When the caller asked for one. */
  readonly timeline?: TimelineSpans;
}
