// What every rank of a run is told, and what a run tells its caller: plain values that cross threads and processes.

import type { ModelSpec, Software, Strategy, Workload } from "@meshwright/core";
import type { RankSpans } from "../engine/spanRecorder.ts";
import type { KernelChoice, KernelMode } from "../kernels/chooseKernels.ts";
import type { MeasuredOp } from "../measure/opTotals.ts";
import type { TrainEvent, TrainTask } from "../train/trainTask.ts";

/** A job whose program is lowered by every rank for itself: stages and shares are settled. */
export interface RunSpec {
  readonly model: ModelSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
}

export interface RankJob {
  readonly spec: RunSpec;
  /** Values are rounded to the formats of their buffers. */
  readonly rounds: boolean;
  /** Of each rank. */
  readonly arenaBytes: readonly number[];
  readonly task: RankTask;
  /** `auto` when absent. */
  readonly kernels?: KernelMode;
}

export type RankTask =
  /** One step from the proofs' parameters on the proofs' tokens, compared with the unsplit model. */
  | { readonly kind: "verify" }
  /** Steps on the proofs' tokens, the same in every step; `measure` records every op, after `warmUpSec` of steps that nobody hears of (warmUp.ts). */
  | { readonly kind: "steps"; readonly numSteps: number; readonly measure: boolean; readonly warmUpSec?: number }
  /** Training on a text. */
  | TrainTask;

export type RunEvent =
  | {
      readonly kind: "step";
      /** 1-based. */
      readonly step: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly skipped: boolean;
      readonly durationSec: number;
    }
  /** The kernels of rank 0; every rank chooses for itself. */
  | { readonly kind: "kernels"; readonly classes: KernelChoice["classes"]; readonly note: string | null }
  | { readonly kind: "verified"; readonly verdict: Verdict }
  | { readonly kind: "measured"; readonly ranks: readonly RankMeasures[] }
  | TrainEvent;

/** What a proof found. */
export interface Verdict {
  readonly lossRelErr: number;
  readonly gradMaxRelErr: number;
  readonly worstParameter: string;
  /** Muon's matrices after the step, relative to the largest element of each; absent without Muon. */
  readonly muonMaxRelErr?: number;
  readonly bytesSent: { readonly predicted: number; readonly measured: number };
  /** Of the fullest rank. */
  readonly peakBytes: { readonly predicted: number; readonly measured: number };
  /** Every proof that failed, in words; empty when the run is right. */
  readonly failures: readonly string[];
  readonly notes: readonly string[];
}

/** What a rank measured over the steps of a run. */
export interface RankMeasures {
  readonly rank: number;
  readonly pipelineRank: number;
  /** Of every step, in order. */
  readonly stepSec: readonly number[];
  /** Of every step: seconds outside of ops and of waiting for other stages. */
  readonly hostSec: readonly number[];
  /** Those in which ranks meet with the wait for the last rank (measure/waits.ts). */
  readonly ops: readonly MeasuredOp[];
  /** Of each of the last steps: the spans in which the rank met others. */
  readonly meetings: readonly RankSpans[];
  /** Of one step, in the program's formats. */
  readonly sentBytes: number;
  readonly peakBytes: number;
  readonly hostPeakBytes: number;
  /** Of the last step. */
  readonly spans: RankSpans;
}
