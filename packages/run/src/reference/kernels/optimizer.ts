// One step of each optimizer. `optimizerStep` is handed the state of one tensor or of a shard of it; states start at zero.

import { assert, unreachable } from "@meshwright/core";
import { vectorStep } from "./adafactor.ts";
import { at, type Mat, set } from "./mat.ts";

export type OptimizerName = "adamw" | "sgd" | "adafactor" | "muon";

export interface OptimizerSettings {
  /** 1 for the first step; a step that is skipped does not count. */
  readonly step: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  /** Decay of AdamW's first moment, or of sgd's momentum. */
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Decay of Muon's momentum. */
  readonly momentum: number;
  /** Gradients are multiplied by this before use: clipping, and 1 / the scale of the loss. */
  readonly gradScale: number;
  /** Whether vectors (norm weights, biases) decay as matrices do. */
  readonly decaysVectors: boolean;
}

/** The step of the proofs: they show that a split update equals the whole one, not that a recipe trains well. */
export const firstStep: OptimizerSettings = {
  step: 1,
  learningRate: 1e-3,
  weightDecay: 0.1,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  momentum: 0.95,
  gradScale: 1,
  decaysVectors: true,
};

/** Updates `master` in place from `grad`; `states` as the algorithm needs them (adamw: m, v; sgd: momentum; a vector under adafactor: v, its matrices take factoredStep()). For muon `grad` is the direction that newtonSchulz made of the scaled gradients. */
export function optimizerStep(
  algorithm: OptimizerName,
  grad: Mat,
  master: Mat,
  states: readonly Mat[],
  settings: OptimizerSettings,
): void {
  assert(
    grad.rows * grad.cols === master.rows * master.cols,
    `gradient ${grad.rows} x ${grad.cols} of master ${master.rows} x ${master.cols}`,
  );
  switch (algorithm) {
    case "adamw":
      adamw(grad, master, states, settings);
      return;
    case "sgd":
      heavyBall(grad, master, states, settings);
      return;
    case "muon":
      heavyBall(grad, master, [], { ...settings, gradScale: 1 });
      return;
    case "adafactor":
      assert(states[0] !== undefined, "a vector under adafactor keeps a moment");
      vectorStep(grad, master, states[0], settings);
      return;
    default:
      return unreachable(algorithm);
  }
}

/** Decoupled weight decay and bias correction (arXiv 1711.05101). */
function adamw(grad: Mat, master: Mat, states: readonly Mat[], settings: OptimizerSettings): void {
  const [m, v] = states;
  assert(m !== undefined && v !== undefined, "adamw keeps m and v");
  const { step, learningRate, weightDecay, beta1, beta2, epsilon, gradScale } = settings;
  const [unbias1, unbias2] = [1 - beta1 ** step, 1 - beta2 ** step];
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const g = at(grad, i, j) * gradScale;
      set(m, i, j, beta1 * at(m, i, j) + (1 - beta1) * g);
      set(v, i, j, beta2 * at(v, i, j) + (1 - beta2) * g * g);
      const update = at(m, i, j) / unbias1 / (Math.sqrt(at(v, i, j) / unbias2) + epsilon);
      set(master, i, j, at(master, i, j) * (1 - learningRate * weightDecay) - learningRate * update);
    }
  }
}

/** Nesterov momentum: `out` is what Muon orthogonalises. */
export function nesterov(grad: Mat, state: Mat, out: Mat, settings: OptimizerSettings): void {
  const { momentum, gradScale } = settings;
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const g = at(grad, i, j) * gradScale;
      const velocity = momentum * at(state, i, j) + g;
      set(state, i, j, velocity);
      set(out, i, j, momentum * velocity + g);
    }
  }
}

/** Without a state a plain step. */
function heavyBall(grad: Mat, master: Mat, states: readonly Mat[], settings: OptimizerSettings): void {
  const [m] = states;
  const { learningRate, weightDecay, beta1, gradScale } = settings;
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const velocity = (m === undefined ? 0 : beta1 * at(m, i, j)) + at(grad, i, j) * gradScale;
      if (m !== undefined) set(m, i, j, velocity);
      set(master, i, j, at(master, i, j) * (1 - learningRate * weightDecay) - learningRate * velocity);
    }
  }
}
