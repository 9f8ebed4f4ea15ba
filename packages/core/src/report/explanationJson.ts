// The machine-readable explanation: `meshwright explain --json`. docs/explain.md documents every field.

import type { Explanation, LossKey } from "../plan/index.ts";
import type { Infeasible } from "../simulate/types.ts";
import { type InfeasibleJson, type JobJson, type PredictionContext, toJson } from "./predictionJson.ts";

export const explanationVersion = 1;

export interface ExplanationJson {
  readonly format: "meshwright.explanation";
  readonly version: number;
  readonly status: "ok" | "infeasible";
  readonly job: JobJson;
  /** status "infeasible". */
  readonly infeasible?: InfeasibleJson;
  /** status "ok", as all that follow. */
  readonly step_time_s?: number;
  readonly mfu_causal?: number;
  readonly waterfall?: {
    readonly peak_flops_per_s: number;
    readonly achieved_flops_per_s: number;
    readonly useful_s: number;
    /** By loss, in order; with useful_s they sum to step_time_s. */
    readonly losses_s: Readonly<Record<LossKey, number>>;
  };
  readonly bottleneck?: { readonly key: string; readonly step_frac: number; readonly sentence: string };
  readonly comparisons?: readonly DifferencesJson[];
  /** Jobs to compare with that do not fit. */
  readonly unfit?: readonly { readonly name: string; readonly need_bytes: number; readonly have_bytes: number }[];
  readonly sensitivities?: readonly SensitivityJson[];
  readonly needs?: readonly NeedsJson[];
  readonly notes: readonly string[];
}

export interface DifferencesJson {
  readonly other: string;
  readonly slower_frac: number;
  readonly relative_std: number;
  readonly tie: boolean;
  readonly other_faster_chance: number;
  /** Seconds that the other loses more, by component; they sum to slower_frac of the step. */
  readonly differences_s: Readonly<Record<string, number>>;
  readonly sentence: string;
}

export interface SensitivityJson {
  readonly kind: string;
  readonly change: string;
  /** Of throughput; per device for kinds `workload` and `size`. */
  readonly gain_frac: number;
  readonly step_time_s: number;
  readonly mfu_causal: number;
  readonly tokens_per_s: number;
  readonly devices: number;
}

export interface NeedsJson {
  readonly quantity: string;
  readonly target: number;
  readonly already_reached: boolean;
  /** Present value as a share of the target; 1 and more is reached. */
  readonly present_frac: number;
  readonly changes: readonly {
    readonly kind: string;
    readonly knob: string;
    readonly reached: boolean;
    readonly change: string;
    readonly attained_frac: number;
    readonly factor?: number;
  }[];
  readonly sentence: string;
}

/** Plain values, ready for JSON.stringify. */
export function explanationJson(context: PredictionContext, explanation: Explanation | Infeasible): ExplanationJson {
  const predicted = toJson(context, explanation.kind === "ok" ? explanation.result : explanation);
  const base = { format: "meshwright.explanation", version: explanationVersion, job: predicted.job } as const;
  if (explanation.kind === "infeasible")
    return {
      ...base,
      status: "infeasible",
      ...(predicted.infeasible === undefined ? {} : { infeasible: predicted.infeasible }),
      notes: predicted.notes,
    };
  const { result, waterfall, bottleneck } = explanation;
  return {
    ...base,
    status: "ok",
    step_time_s: result.stepSec,
    mfu_causal: result.mfuCausal,
    waterfall: {
      peak_flops_per_s: waterfall.peakFlopsPerSec,
      achieved_flops_per_s: waterfall.achievedFlopsPerSec,
      useful_s: waterfall.usefulSec,
      losses_s: Object.fromEntries(waterfall.losses.map(({ key, durationSec }) => [key, durationSec])) as Record<
        LossKey,
        number
      >,
    },
    bottleneck: { key: bottleneck.key, step_frac: bottleneck.stepFrac, sentence: bottleneck.sentence },
    comparisons: explanation.comparisons.map((of) => ({
      other: of.other,
      slower_frac: of.slowerFrac,
      relative_std: of.relStd,
      tie: of.tie,
      other_faster_chance: of.otherFasterChance,
      differences_s: Object.fromEntries(of.differences.map(({ key, durationSec }) => [key, durationSec])),
      sentence: of.sentence,
    })),
    unfit: explanation.unfit.map(({ name, result: unfit }) => ({
      name,
      need_bytes: unfit.needBytes,
      have_bytes: unfit.haveBytes,
    })),
    sensitivities: explanation.sensitivities.map((each) => ({
      kind: each.kind,
      change: each.change,
      gain_frac: each.gainFrac,
      step_time_s: each.stepSec,
      mfu_causal: each.mfuCausal,
      tokens_per_s: each.tokensPerSec,
      devices: each.numDevices,
    })),
    needs: explanation.needs.map((needs) => ({
      quantity: needs.target.quantity,
      target: needs.target.value,
      already_reached: needs.alreadyReached,
      present_frac: needs.presentFrac,
      changes: needs.needs.map((need) => ({
        kind: need.kind,
        knob: need.knob,
        reached: need.reached,
        change: need.change,
        attained_frac: need.attainedFrac,
        ...(need.factor === undefined ? {} : { factor: need.factor }),
      })),
      sentence: needs.sentence,
    })),
    notes: predicted.notes,
  };
}
