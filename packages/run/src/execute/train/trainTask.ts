// What every rank of a training is told, and what training tells its caller: plain values that cross threads and processes.

import type { TokenizerSpec } from "../data/tokenizer.ts";
import type { Chaos } from "../faults/chaos.ts";
import type { CodeSpec } from "../faults/gradientCodes.ts";
import type { Recipe } from "./recipe.ts";
import type { SamplingOptions } from "./sampling.ts";

export interface TrainTask {
  readonly kind: "train";
  /** Of the whole training, also of a run that resumes. */
  readonly totalSteps: number;
  readonly seed: number;
  readonly recipe: Recipe;
  readonly optimizer: string;
  readonly data: {
    /** All tokens of the corpus, Int32. */
    readonly tokens: ArrayBufferLike;
    readonly tokenizer: TokenizerSpec;
    readonly fingerprint: string;
    readonly evalFrac: number;
  };
  /** Sequences of a step, over all ranks. */
  readonly globalBatch: number;
  readonly evaluation: { readonly everySteps: number; readonly numBatches: number } | null;
  readonly checkpoint: {
    readonly root: string;
    readonly everySteps: number;
    readonly keep: number | null;
    readonly timeoutMs: number;
  } | null;
  /** Folder of the checkpoint to go on from. */
  readonly resumeFrom: string | null;
  readonly chaos: readonly Chaos[];
  readonly code: CodeTask | null;
  readonly sample: (SamplingOptions & { readonly prompt: string; readonly numTokens: number }) | null;
  /** Names for people, as checkpoints keep them. */
  readonly model: string;
  readonly mesh: string;
}

/** Every rank is a worker of a gradient code and runs a program of its own. */
export interface CodeTask {
  readonly spec: CodeSpec;
  readonly numWorkers: number;
  /** Memory of the board (faults/codeBoard.ts); null between processes, which meet at one over the network (faults/remote). */
  readonly board: SharedArrayBuffer | null;
  readonly timeoutMs: number;
}

export type TrainEvent =
  | {
      readonly kind: "trained";
      /** 1-based. */
      readonly step: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      readonly skipped: boolean;
      readonly lossScale: number;
      readonly durationSec: number;
      readonly tokensPerSec: number;
      /** Gradient codes: workers that were not waited for. */
      readonly missing: readonly number[];
    }
  | { readonly kind: "evaluated"; readonly step: number; readonly loss: number }
  /** A checkpoint of this step is being written; training stood still this long for the one before. */
  | { readonly kind: "saving"; readonly step: number }
  | { readonly kind: "resumed"; readonly step: number; readonly folder: string }
  | { readonly kind: "sampled"; readonly prompt: string; readonly text: string }
  | {
      readonly kind: "finished";
      readonly step: number;
      readonly trainSec: number;
      /** Of all steps, standing still for checkpoints. */
      readonly stallSec: number;
      readonly numCheckpoints: number;
    };
