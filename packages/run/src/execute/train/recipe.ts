// What a step of training does, as a pure function of where training stands: learning rate, decay, moments, clipping, loss scale. Where training stands is
// four numbers that every rank keeps alike and that a checkpoint carries.

import type { OptimizerName, OptimizerSettings } from "../../reference/kernels/optimizer.ts";
import { learningRateAt, type RateSchedule } from "./learningRate.ts";

export interface Recipe {
  readonly rate: RateSchedule;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Of Muon's matrices. */
  readonly momentum: number;
  /** Gradients whose norm is larger are scaled down to it; null: never. */
  readonly clipNorm: number | null;
  /** Loss scale at the start; 1: gradients are wide enough, and the scale stays. Larger: it doubles and halves as gradients allow. */
  readonly initialLossScale: number;
}

/** Where training stands. */
export interface TrainState {
  /** Steps done, skipped ones counted. */
  readonly step: number;
  /** Steps the optimizer took: its bias corrections count these. */
  readonly optimizerSteps: number;
  readonly sequencesSeen: number;
  readonly lossScale: number;
  /** Steps since the scale last changed. */
  readonly stepsAtScale: number;
}

export interface StepChoice {
  readonly optimizer: OptimizerSettings;
  readonly clipNorm: number | null;
  readonly lossScale: number;
}

/**
 * Common values of each optimizer: AdamW's as language models are trained (arXiv 2005.14165, appendix B), sgd's momentum 0.9. Muon's updates are scaled to the
 * size of AdamW's, so both take one learning rate (arXiv 2502.16982, section 2.2); its momentum is K. Jordan's (2024).
 */
export const optimizerDefaults: Readonly<
  Record<
    OptimizerName,
    Pick<Recipe, "weightDecay" | "beta1" | "beta2" | "epsilon" | "momentum"> & { readonly peak: number }
  >
> = {
  adamw: { peak: 1e-3, weightDecay: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, momentum: 0 },
  sgd: { peak: 0.1, weightDecay: 0, beta1: 0.9, beta2: 0, epsilon: 0, momentum: 0 },
  muon: { peak: 1e-3, weightDecay: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, momentum: 0.95 },
  adafactor: { peak: 1e-3, weightDecay: 0.1, beta1: 0, beta2: 0, epsilon: 1e-8, momentum: 0 },
};

/** 1 where gradients have the range of f32; in fp16 a scale that the first overflows halve (arXiv 1710.03740, section 3.2). */
export function initialLossScale(precision: string): number {
  return precision === "fp16" ? 2 ** 16 : 1;
}

/** After this many steps without overflow the scale doubles (arXiv 1710.03740, section 3.2, uses a constant or such a rule). */
const growthInterval = 1000;
const maxLossScale = 2 ** 24;

export function startState(recipe: Recipe): TrainState {
  return { step: 0, optimizerSteps: 0, sequencesSeen: 0, lossScale: recipe.initialLossScale, stepsAtScale: 0 };
}

export function choiceAt(recipe: Recipe, state: TrainState): StepChoice {
  const { weightDecay, beta1, beta2, epsilon, momentum, clipNorm } = recipe;
  return {
    optimizer: {
      step: state.optimizerSteps + 1,
      learningRate: learningRateAt(recipe.rate, state.step),
      weightDecay,
      beta1,
      beta2,
      epsilon,
      momentum,
      gradScale: 1,
      decaysVectors: false,
    },
    clipNorm,
    lossScale: state.lossScale,
  };
}

export function stateAfter(
  recipe: Recipe,
  state: TrainState,
  done: { readonly skipped: boolean; readonly globalBatch: number },
): TrainState {
  const scales = recipe.initialLossScale !== 1;
  let { lossScale, stepsAtScale } = state;
  stepsAtScale++;
  if (scales && done.skipped) [lossScale, stepsAtScale] = [Math.max(1, lossScale / 2), 0];
  else if (scales && stepsAtScale >= growthInterval)
    [lossScale, stepsAtScale] = [Math.min(maxLossScale, lossScale * 2), 0];
  return {
    step: state.step + 1,
    optimizerSteps: state.optimizerSteps + (done.skipped ? 0 : 1),
    sequencesSeen: state.sequencesSeen + done.globalBatch,
    lossScale,
    stepsAtScale,
  };
}
