// Two predictions of one job, component by component: why the winner wins, and whether it really does.
//
// Uncertainty. The intervals of two predictions on one cluster are not independent: both use the same kernel tables, network curves and software facts, so
// what they have in common cancels in their ratio. What does not cancel is the error of the components in which they differ. The ratio's relative standard
// deviation is taken as
//
//   sqrt(RESIDUAL_STD^2 + COMPONENT_STD^2 x sum over components of (difference / step)^2)
//
// at most what two independent predictions would give. Both numbers were read off measured jobs with several layouts (scripts/estimateRatios.ts: 38 jobs,
// 436 pairs of runs, every job with the same weight): 57 % of the measured ratios lie within one deviation of the predicted, 77 % within two. The tails are
// heavier than a normal distribution's: releases with regressions, libraries whose collectives scale unlike the priced ones.
// Two predictions closer than one deviation are called a tie.

import type { StepResult, StepSpec } from "../../simulate/index.ts";
import { formatPercent, formatSeconds } from "../../units/format.ts";
import { type ComponentKey, componentName, componentSeconds } from "./components.ts";
import { waterfall } from "./waterfall.ts";

/** Relative deviation of the ratio of two runs that the prediction hardly tells apart: settings not stated, placement, repeatability. */
export const RESIDUAL_STD = 0.05;
/** Relative error of a difference in one component. */
export const COMPONENT_STD = 0.8;

/** A prediction with `rankOps`, and what to call it. */
export interface ExplainedStep {
  readonly name: string;
  readonly spec: StepSpec;
  readonly result: StepResult;
}

export interface Difference {
  readonly key: ComponentKey;
  readonly name: string;
  /** Seconds the other loses more than the winner (less, when negative) on the winner's tokens. */
  readonly durationSec: number;
  /** Of the winner's step. */
  readonly stepFrac: number;
}

export interface Comparison {
  readonly winner: string;
  readonly other: string;
  /** Time per token of the other over the winner's, minus 1. */
  readonly slowerFrac: number;
  /** One standard deviation of that. */
  readonly relStd: number;
  /** Closer than one deviation. */
  readonly tie: boolean;
  /** Chance that the other is in truth at least as fast. */
  readonly otherFasterChance: number;
  /** Largest first; all together are slowerFrac of the winner's step. */
  readonly differences: readonly Difference[];
  /** `b is 7.2 % slower than a`, or that they tie. */
  readonly verdict: string;
  /** The verdict with the largest differences. */
  readonly sentence: string;
}

export function differences(winner: ExplainedStep, other: ExplainedStep): Comparison {
  const mine = componentSeconds(waterfall(winner.spec, winner.result));
  const theirs = componentSeconds(waterfall(other.spec, other.result));
  // Steps of different batches are compared per token.
  const tokens = (step: ExplainedStep) => step.result.tokensPerSec * step.result.stepSec;
  const scale = tokens(winner) / tokens(other);
  const stepSec = winner.result.stepSec;
  const list = [...mine]
    .map(([key, sec]): Difference => {
      const durationSec = (theirs.get(key) ?? 0) * scale - sec;
      return { key, name: componentName(key), durationSec, stepFrac: durationSec / stepSec };
    })
    .sort((a, b) => Math.abs(b.durationSec) - Math.abs(a.durationSec) || (a.key < b.key ? -1 : 1));
  const slowerFrac = (other.result.stepSec * scale) / stepSec - 1;
  const apart = Math.hypot(...list.map(({ stepFrac }) => stepFrac));
  const relStd = Math.min(
    Math.hypot(winner.result.relStd, other.result.relStd),
    Math.hypot(RESIDUAL_STD, COMPONENT_STD * apart),
  );
  const compared = {
    winner: winner.name,
    other: other.name,
    slowerFrac,
    relStd,
    tie: Math.abs(slowerFrac) < relStd,
    otherFasterChance: normalBelow(-slowerFrac / relStd),
    differences: list,
  };
  const verdict = verdictOf(compared);
  return { ...compared, verdict, sentence: `${verdict}${compared.tie ? ";" : ":"} ${wordsOf(list)}` };
}

/** Differences below this share of the step are not worth words. */
const SHOWN_FRAC = 0.003;

function wordsOf(list: readonly Difference[]): string {
  const shown = list.filter(({ stepFrac }) => Math.abs(stepFrac) >= SHOWN_FRAC).slice(0, 4);
  if (shown.length === 0) return "no component differs by 0.3 % of the step";
  return shown
    .map(
      ({ name, durationSec, stepFrac }) =>
        `${durationSec > 0 ? "+" : "-"}${formatSeconds(Math.abs(durationSec))} ${name} (${signedPercent(stepFrac)})`,
    )
    .join(", ");
}

function verdictOf(of: Pick<Comparison, "winner" | "other" | "slowerFrac" | "relStd" | "tie">): string {
  const by = `${formatPercent(Math.abs(of.slowerFrac))} ${of.slowerFrac > 0 ? "slower" : "faster"}`;
  if (of.tie)
    return `${of.other} ties with ${of.winner}: ${of.slowerFrac === 0 ? "as fast" : by}, within the ${formatPercent(of.relStd)} by which their ratio is uncertain`;
  return `${of.other} is ${by} than ${of.winner}`;
}

function signedPercent(frac: number): string {
  return `${frac > 0 ? "+" : frac < 0 ? "-" : ""}${formatPercent(Math.abs(frac))}`;
}

/** Standard normal distribution function (Abramowitz and Stegun 26.2.17, absolute error below 1e-7). */
function normalBelow(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const poly = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * poly;
  return x > 0 ? 1 - tail : tail;
}
