// A training as its caller wants it: numbers checked, nothing decided yet that depends on the corpus or on a checkpoint.

import type { CodeSpec } from "../faults/gradientCodes.ts";
import type { RateScheduleName } from "./learningRate.ts";

export interface TrainOptions {
  readonly totalSteps: number;
  /** Null: the checkpoint's, or 1. */
  readonly seed: number | null;
  readonly data: {
    /** Null: the documentation that comes with the program. */
    readonly path: string | null;
    /** `byte`, `bpe` or `bpe:N`; null: bytes, or the checkpoint's. */
    readonly tokens: string | null;
    readonly evalFrac: number;
  };
  readonly rate: {
    readonly kind: RateScheduleName;
    /** Null: the optimizer's usual one. */
    readonly peak: number | null;
    readonly warmupSteps: number;
    readonly finalFrac: number;
    readonly decayFrac: number;
  };
  /** Null: the optimizer's usual one. */
  readonly weightDecay: number | null;
  readonly beta1: number | null;
  readonly beta2: number | null;
  /** Of Muon. */
  readonly momentum: number | null;
  readonly clipNorm: number | null;
  readonly evaluation: { readonly everySteps: number; readonly numBatches: number } | null;
  readonly checkpoint: { readonly root: string; readonly everySteps: number; readonly keep: number | null } | null;
  /** A checkpoint, or a folder of them. */
  readonly resume: string | null;
  /** Times that the run may go on from a checkpoint after a rank was lost. */
  readonly restarts: number;
  readonly chaos: readonly string[];
  readonly code: CodeSpec | null;
  readonly sample: {
    readonly prompt: string;
    readonly numTokens: number;
    readonly temperature: number;
    readonly topK: number;
  } | null;
  readonly timeoutMs: number;
}
