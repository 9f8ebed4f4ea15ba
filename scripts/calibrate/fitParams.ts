// Fits the parameters of a physical model on measured times by seeded random search in log space.
//
// The loss is the mean absolute log error, capped, so that a few odd kernels do not steer the physics. All parameters are positive; a step
// changes a third of them by a log-normal factor and is kept when the loss falls. Bounds keep each within a factor of its start.

import { normal, type Random } from "./random.ts";

export interface FitTarget {
  readonly seconds: number;
  readonly predict: (params: readonly number[]) => number;
}

const ERROR_CAP = 0.7;
/** Pull to the documented start, so that a parameter which the table cannot tell (head width, where only one was measured) stays there. */
const PRIOR = 0.0015;
/** Largest factor between a fitted parameter and its documented start. */
const MAX_FACTOR = 12;

export function fitParams(
  targets: readonly FitTarget[],
  start: readonly number[],
  rounds: number,
  random: Random,
): { readonly params: number[]; readonly loss: number } {
  const lossOf = (params: readonly number[]): number => {
    let sum = 0;
    for (const target of targets)
      sum += Math.min(ERROR_CAP, Math.abs(Math.log(target.predict(params) / target.seconds)));
    let drift = 0;
    params.forEach((value, index) => {
      drift += Math.log(value / (start[index] as number)) ** 2;
    });
    return sum / targets.length + PRIOR * drift;
  };
  let params = [...start];
  let loss = lossOf(params);
  let step = 0.35;
  for (let round = 0; round < rounds; round++) {
    const trial = params.map((value, index) => {
      const moved = random() < 0.35 ? value * Math.exp(step * normal(random)) : value;
      const middle = start[index] as number;
      return Math.max(middle / MAX_FACTOR, Math.min(middle * MAX_FACTOR, moved));
    });
    const trialLoss = lossOf(trial);
    if (trialLoss < loss) {
      params = trial;
      loss = trialLoss;
    }
    if (round % Math.ceil(rounds / 6) === 0 && round > 0) step *= 0.65;
  }
  return { params, loss };
}
