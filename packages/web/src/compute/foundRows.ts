// Rows of what a search or a survey finds, each made once: a leaf of the space resolved, with the figures that follow from its brief.

import { type Found, leafKey, type PlanJob, pointOf, resolvedLeaf } from "@meshwright/core/plan";
import { predictStep, type StepResult } from "@meshwright/core/simulate";
import type { JobSpec, ResolvedSpec } from "@meshwright/core/spec";
import { type PlanRow, planRow, type RowOrigin } from "./planRow.ts";

/** More than a person reads; a search of everything may meet thousands. */
const MOST_ROWS = 200;

export interface FoundRowsOf {
  readonly job: JobSpec;
  readonly space: PlanJob;
  readonly origin: RowOrigin;
}

export class FoundRows {
  private readonly of: FoundRowsOf;
  private readonly byLeaf = new Map<string, PlanRow>();
  /** MFU times seconds of a step: of one job the same for every strategy. */
  private mfuSec: number | null = null;

  constructor(of: FoundRowsOf) {
    this.of = of;
  }

  rowsOf(found: readonly Found[]): PlanRow[] {
    return found.slice(0, MOST_ROWS).map((each) => this.rowOf(each));
  }

  private rowOf(found: Found): PlanRow {
    const leaf = leafKey(found.leaf);
    const known = this.byLeaf.get(leaf);
    if (known !== undefined) return known;
    const { job, space, origin } = this.of;
    const spec = resolvedLeaf(job, space, found.leaf);
    this.mfuSec ??= mfuSecOf(spec);
    const { stepSec, peakBytes, energyJoules } = found.brief;
    const { tokensPerSec, usdPerBillionTokens } = pointOf(space, 1, found);
    const mfuCausal = this.mfuSec / stepSec;
    const { value } = found;
    const row = planRow(spec, job.software, {
      ...{ origin, rule: null, value, stepSec, tokensPerSec, mfuCausal, peakBytes, energyJoules, usdPerBillionTokens },
    });
    this.byLeaf.set(leaf, row);
    return row;
  }
}

function mfuSecOf(spec: ResolvedSpec): number {
  const result = predictStep(spec, { suggest: false });
  return result.kind === "ok" ? result.mfuCausal * result.stepSec : Number.NaN;
}

/** A row of a strategy that was predicted in full. */
export function predictedRow(
  spec: ResolvedSpec,
  result: StepResult,
  of: { readonly job: JobSpec; readonly origin: RowOrigin; readonly rule: string | null; readonly value: number },
): PlanRow {
  const { job, ...given } = of;
  const { stepSec, tokensPerSec, mfuCausal, energyJoules, usdPerBillionTokens } = result;
  const { peakBytes } = result.ranks[result.peakRank]!.memory; // every step has a fullest rank
  return planRow(spec, job.software, {
    ...{ ...given, stepSec, tokensPerSec, mfuCausal, peakBytes, energyJoules, usdPerBillionTokens },
  });
}
