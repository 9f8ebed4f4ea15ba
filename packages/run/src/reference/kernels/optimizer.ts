// First optimizer step of each algorithm, with fixed hyperparameters: the reference shows that a split update equals the whole one,
// not that a recipe trains well. States start at zero.

import { assert, unreachable } from "@meshwright/core";
import { at, type Mat, set } from "./mat.ts";

export type OptimizerName = "adamw" | "sgd" | "adafactor" | "muon";

const learningRate = 1e-3;
const weightDecay = 0.1;
const beta1 = 0.9;
const beta2 = 0.95;
const epsilon = 1e-8;

/** Updates `master` in place from `grad`; `states` as the algorithm needs them (adamw: m, v; sgd: momentum; muon: momentum). */
export function optimizerStep(algorithm: OptimizerName, grad: Mat, master: Mat, states: readonly Mat[]): void {
  assert(
    grad.rows * grad.cols === master.rows * master.cols,
    `gradient ${grad.rows} x ${grad.cols} of master ${master.rows} x ${master.cols}`,
  );
  switch (algorithm) {
    case "adamw":
      adamw(grad, master, states);
      return;
    case "sgd":
    case "muon":
      momentum(grad, master, states);
      return;
    case "adafactor":
      adafactor(grad, master, states);
      return;
    default:
      return unreachable(algorithm);
  }
}

/** Decoupled weight decay (arXiv 1711.05101), bias-corrected at step 1. */
function adamw(grad: Mat, master: Mat, states: readonly Mat[]): void {
  const [m, v] = states;
  assert(m !== undefined && v !== undefined, "adamw keeps m and v");
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const g = at(grad, i, j);
      set(m, i, j, beta1 * at(m, i, j) + (1 - beta1) * g);
      set(v, i, j, beta2 * at(v, i, j) + (1 - beta2) * g * g);
      const update = at(m, i, j) / (1 - beta1) / (Math.sqrt(at(v, i, j) / (1 - beta2)) + epsilon);
      set(master, i, j, at(master, i, j) * (1 - learningRate * weightDecay) - learningRate * update);
    }
  }
}

/** Heavy ball. Muon's orthogonalisation needs whole matrices; on the shards it is given the reference takes its momentum step alone. */
function momentum(grad: Mat, master: Mat, states: readonly Mat[]): void {
  const [m] = states;
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const velocity = (m === undefined ? 0 : beta1 * at(m, i, j)) + at(grad, i, j);
      if (m !== undefined) set(m, i, j, velocity);
      set(master, i, j, at(master, i, j) * (1 - learningRate * weightDecay) - learningRate * velocity);
    }
  }
}

/** Second moments as row and column means of squares (arXiv 1804.04235, algorithm 4) where the states are vectors. */
function adafactor(grad: Mat, master: Mat, states: readonly Mat[]): void {
  const rowMean = new Float64Array(grad.rows);
  const colMean = new Float64Array(grad.cols);
  let mean = 0;
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const square = at(grad, i, j) ** 2 + 1e-30;
      rowMean[i]! += square / grad.cols;
      colMean[j]! += square / grad.rows;
      mean += square / (grad.rows * grad.cols);
    }
  }
  for (const state of states) {
    const length = state.rows * state.cols;
    const source = length === grad.rows ? rowMean : length === grad.cols ? colMean : undefined;
    if (source !== undefined)
      for (let i = 0; i < length; i++) set(state, Math.floor(i / state.cols), i % state.cols, source[i]!);
  }
  for (let i = 0; i < grad.rows; i++) {
    for (let j = 0; j < grad.cols; j++) {
      const update = at(grad, i, j) / (Math.sqrt((rowMean[i]! * colMean[j]!) / mean) + epsilon);
      set(master, i, j, at(master, i, j) * (1 - learningRate * weightDecay) - learningRate * update);
    }
  }
}
