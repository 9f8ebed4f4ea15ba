// `meshwright compare --json`: the predictions as `predict --json` writes them, with their components and the verdicts. Documented in docs/compare.md.

import { parameterCounts } from "../model/index.ts";
import { fits, type JobComparison, shownSeconds } from "./comparison.ts";
import { type PredictionJson, toJson } from "./predictionJson.ts";

export const comparisonVersion = 1;

export interface ComparisonJson {
  readonly format: "meshwright.comparison";
  readonly version: number;
  readonly jobs: readonly ComparedJobJson[];
  /** null: none fits. */
  readonly fastest: string | null;
  /** The others that fit against the fastest. */
  readonly comparisons: readonly VerdictJson[];
  readonly skipped_baselines: readonly { readonly name: string; readonly title: string; readonly reason: string }[];
}

export interface ComparedJobJson {
  readonly name: string;
  /** null: the job comes from a spec. */
  readonly baseline: { readonly title: string; readonly source: string } | null;
  readonly prediction: PredictionJson;
  /** Seconds of a step on the mean device, by component; null when the job does not fit. */
  readonly components_s: Readonly<Record<string, number>> | null;
}

export interface VerdictJson {
  readonly winner: string;
  readonly other: string;
  /** Time per token of the other over the winner's, minus 1. */
  readonly slower_frac: number;
  /** One standard deviation of that. */
  readonly relative_std: number;
  readonly tie: boolean;
  /** Chance that the other is in truth at least as fast. */
  readonly other_faster_chance: number;
  readonly differences: readonly {
    readonly component: string;
    readonly name: string;
    /** What the other spends more than the winner on the winner's tokens. */
    readonly time_s: number;
    readonly step_frac: number;
  }[];
  readonly sentence: string;
}

export function comparisonJson(of: JobComparison): ComparisonJson {
  return {
    format: "meshwright.comparison",
    version: comparisonVersion,
    jobs: of.jobs.map((job) => ({
      name: job.name,
      baseline: job.baseline === undefined ? null : { title: job.baseline.title, source: job.baseline.source },
      prediction: toJson({ spec: job.spec, parameters: parameterCounts(job.spec.model) }, job.result),
      components_s: fits(job) ? Object.fromEntries(shownSeconds(job)) : null,
    })),
    fastest: of.fastest?.name ?? null,
    comparisons: of.verdicts.map((verdict) => ({
      winner: verdict.winner,
      other: verdict.other,
      slower_frac: verdict.slowerFrac,
      relative_std: verdict.relStd,
      tie: verdict.tie,
      other_faster_chance: verdict.otherFasterChance,
      differences: verdict.differences.map(({ key, name, durationSec, stepFrac }) => ({
        component: key,
        name,
        time_s: durationSec,
        step_frac: stepFrac,
      })),
      sentence: verdict.sentence,
    })),
    skipped_baselines: of.skipped,
  };
}
