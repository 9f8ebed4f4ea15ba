// A finished (or stopped) search as results: the best layouts predicted in full, what is a tie, what misses.

import { predictStep } from "../simulate/index.ts";
import type { Infeasible, StepResult } from "../simulate/types.ts";
import type { JobSpec, ResolvedSpec } from "../spec/index.ts";
import { assert } from "../units/errors.ts";
import { bottleneckOf, type Comparison, differences, waterfall } from "./explain/index.ts";
import { withDevices } from "./objectives/extremes.ts";
import type { PlanRequest } from "./request.ts";
import { anyFits } from "./search/anyFits.ts";
import type { PlanCounts } from "./search/counts.ts";
import type { Found } from "./search/searchCore.ts";
import type { PlanSearch } from "./search/searchPlan.ts";
import { leafJob } from "./space/leaf.ts";
import { noLimits } from "./space/limits.ts";
import type { Leaf, PlanJob } from "./space/types.ts";

export interface RankedPlan {
  readonly spec: ResolvedSpec;
  readonly result: StepResult;
  /** What the search minimised: seconds or joules of a step. */
  readonly value: number;
  /** Against the best, component by component; null for the best itself. */
  readonly comparison: Comparison | null;
  /** Not told apart from the best by the model: closer than one standard deviation of the comparison. */
  readonly tie: boolean;
}

export interface MissedPlan {
  readonly spec: ResolvedSpec;
  readonly infeasible: Infeasible;
}

/** A change of the job that was tried and fits. */
export interface Remedy {
  readonly sentence: string;
  readonly change:
    | { readonly kind: "liftLimits" }
    | { readonly kind: "devices"; readonly numDevices: number }
    | { readonly kind: "sequence"; readonly seqLen: number; readonly globalBatch: number };
}

export interface PlanOutcome {
  readonly job: JobSpec;
  readonly request: PlanRequest;
  readonly counts: PlanCounts;
  /** Best first; empty when nothing fits. */
  readonly plans: readonly RankedPlan[];
  /** Whether the first plan is the best of the whole space: nothing was left unsearched, and no part of the space was another shard's. */
  readonly proven: boolean;
  /** First so many plans that are proven to be the best layouts. */
  readonly numProven: number;
  /** What bounds the best plan, in a sentence; null when nothing fits. */
  readonly bottleneck: string | null;
  /** Where nothing fits: the simulated strategy that misses by least, with changes that would fit. */
  readonly miss: MissedPlan | null;
  /** Where nothing fits: what would make it fit. */
  readonly remedies: readonly Remedy[];
}

export function planOutcome(
  job: JobSpec,
  request: PlanRequest,
  at: { readonly space: PlanJob; readonly search: PlanSearch; readonly numProven: number; readonly partial: boolean },
): PlanOutcome {
  const { space, search } = at;
  const plans = search.best.slice(0, request.top).map((found) => predictedPlan(job, space, found));
  const best = plans[0];
  const miss = search.nearestMiss;
  const proven = search.numOpen === 0 && search.counts.open === 0 && !at.partial;
  return {
    job,
    request,
    counts: search.counts,
    plans: plans.map((plan, i) => rankedPlan(plan, i, best!)),
    proven,
    numProven: proven ? Math.min(at.numProven, plans.length) : 0,
    bottleneck: best === undefined ? null : bottleneckOf(best.spec, waterfall(best.spec, best.result)).sentence,
    miss: plans.length > 0 || miss === null ? null : missedPlan(job, space, miss.leaf),
    remedies: plans.length > 0 || !proven ? [] : remediesFor(space),
  };
}

/** Devices tried at most, over those of the cluster. */
const MOST_TIMES_DEVICES = 16;

/** Changes that were tried and fit: limits lifted, more devices of the kind, shorter sequences. */
function remediesFor(space: PlanJob): Remedy[] {
  const remedies: Remedy[] = [];
  const { limits } = space;
  const limited = limits.fix.size + limits.max.size + limits.min.size + limits.forbid.size > 0;
  if (limited && anyFits({ ...space, limits: noLimits }) !== null)
    remedies.push({ sentence: "lift the limits: without them it fits", change: { kind: "liftLimits" } });
  for (let times = 2; times <= MOST_TIMES_DEVICES; times *= 2) {
    const larger = withDevices(space, space.cluster.numDevices * times);
    if (larger === null || anyFits(larger) === null) continue;
    const { numDevices } = larger.cluster;
    remedies.push({
      sentence: `use ${numDevices} devices: the same batch fits`,
      change: { kind: "devices", numDevices },
    });
    break;
  }
  const { seqLen, globalBatch } = space.workload;
  for (let shorter = Math.floor(seqLen / 2); shorter >= 1024; shorter = Math.floor(shorter / 2)) {
    const workload = { ...space.workload, seqLen: shorter, globalBatch: Math.round((globalBatch * seqLen) / shorter) };
    if (anyFits({ ...space, workload }) === null) continue;
    remedies.push({
      sentence: `use sequences of ${shorter} tokens: the same tokens a step fit`,
      change: { kind: "sequence", seqLen: shorter, globalBatch: workload.globalBatch },
    });
    break;
  }
  return remedies;
}

type PredictedPlan = Pick<RankedPlan, "spec" | "result" | "value">;

/** A plan beside the best: what differs, and whether the model tells them apart. */
export function rankedPlan(plan: PredictedPlan, index: number, best: PredictedPlan): RankedPlan {
  if (index === 0) return { ...plan, comparison: null, tie: false };
  const comparison = differences({ name: "1", ...best }, { name: String(index + 1), ...plan });
  // By the objective: an equal step at more energy is no tie in energy.
  return { ...plan, comparison, tie: plan.value / best.value - 1 < comparison.relStd };
}

function predictedPlan(job: JobSpec, space: PlanJob, found: Found): PredictedPlan {
  const spec = resolvedLeaf(job, space, found.leaf);
  const result = predictStep(spec, { suggest: false, rankOps: true });
  assert(
    result.kind === "ok" && result.stepSec === found.brief.stepSec,
    `a plan is predicted as it was searched: ${found.brief.stepSec} s`,
  );
  return { spec, result, value: found.value };
}

function missedPlan(job: JobSpec, space: PlanJob, leaf: Leaf): MissedPlan {
  const spec = resolvedLeaf(job, space, leaf);
  // No suggestions: whatever change would fit was searched too.
  const result = predictStep(spec, { suggest: false });
  assert(result.kind === "infeasible", "the nearest miss does not fit");
  return { spec, infeasible: result };
}

export function resolvedLeaf(job: JobSpec, space: PlanJob, leaf: Leaf): ResolvedSpec {
  const { name, model, cluster, workload, notes } = job;
  return { name, model, cluster, workload, notes, ...leafJob(space, leaf) };
}
