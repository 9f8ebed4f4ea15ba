// The learning rate of a step, as a share of the peak. Every schedule begins with a linear warm-up; what follows has a name:
//   constant  the peak.
//   linear    straight down to the final share at the last step.
//   cosine    half a cosine down to the final share (arXiv 1608.03983 without restarts).
//   wsd       warm-up, stable, decay: the peak, then straight down over the last `decayFrac` of all steps (arXiv 2404.06395).

import { unreachable } from "@meshwright/core";

export const rateSchedules = ["constant", "linear", "cosine", "wsd"] as const;
export type RateScheduleName = (typeof rateSchedules)[number];

export interface RateSchedule {
  readonly kind: RateScheduleName;
  readonly peak: number;
  readonly warmupSteps: number;
  /** Steps of the whole training, also of a run that resumes. */
  readonly totalSteps: number;
  /** Rate of the last step over the peak. */
  readonly finalFrac: number;
  /** wsd: share of all steps that decay. */
  readonly decayFrac: number;
}

/** @param step 0-based. The first step of a warm-up of n takes 1/n of the peak, so no step is lost to a rate of zero. */
export function learningRateAt(schedule: RateSchedule, step: number): number {
  const { kind, peak, warmupSteps, totalSteps, finalFrac, decayFrac } = schedule;
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  /** 0 at the first step of the fall, 1 at the last step of all. */
  const progress = (from: number) => Math.min(1, Math.max(0, (step - from) / Math.max(1, totalSteps - 1 - from)));
  switch (kind) {
    case "constant":
      return peak;
    case "linear":
      return peak * (1 - (1 - finalFrac) * progress(warmupSteps));
    case "cosine":
      return peak * (finalFrac + ((1 - finalFrac) * (1 + Math.cos(Math.PI * progress(warmupSteps)))) / 2);
    case "wsd": {
      const decayFrom = Math.max(warmupSteps, totalSteps - 1 - Math.round(totalSteps * decayFrac));
      return peak * (1 - (1 - finalFrac) * progress(decayFrom));
    }
    default:
      return unreachable(kind);
  }
}
