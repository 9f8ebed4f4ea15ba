// The whole explanation of one job: where the step goes, what limits it, how it compares with other jobs, what would change it, what a target needs.

import { predictStep, type SimulateOptions, type StepSpec } from "../../simulate/index.ts";
import type { Infeasible, StepResult } from "../../simulate/types.ts";
import { type Bottleneck, bottleneckOf } from "./bottleneck.ts";
import { type Comparison, differences } from "./differences.ts";
import { type Needs, needsFor } from "./needs.ts";
import { type Sensitivity, sensitivities } from "./sensitivities.ts";
import type { Target } from "./target.ts";
import { type Waterfall, waterfall } from "./waterfall.ts";

export interface Explanation {
  readonly kind: "ok";
  readonly name: string;
  readonly result: StepResult;
  readonly waterfall: Waterfall;
  readonly bottleneck: Bottleneck;
  /** Largest effect first. */
  readonly sensitivities: readonly Sensitivity[];
  /** The job as the winner, against each of the others that fits. */
  readonly comparisons: readonly Comparison[];
  /** Others that do not fit, by name. */
  readonly unfit: readonly { readonly name: string; readonly result: Infeasible }[];
  readonly needs: readonly Needs[];
}

export interface NamedSpec {
  readonly name: string;
  readonly spec: StepSpec;
}

export interface ExplainOptions {
  readonly simulate?: SimulateOptions;
  readonly against?: readonly NamedSpec[];
  readonly targets?: readonly Target[];
  /** Factors that hardware is improved by (default 2). */
  readonly factors?: readonly number[];
  /** Look for sensitivities (true unless stated; about 40 predictions). */
  readonly sensitivities?: boolean;
  /** Called often: what is being worked on, and how far it is. */
  readonly onProgress?: (what: string, done: number, total: number) => void;
}

/** An explanation, or why the job does not fit (with changes that would). Throws InputError on a strategy that does not divide. */
export function explain({ name, spec }: NamedSpec, options: ExplainOptions = {}): Explanation | Infeasible {
  const simulate: SimulateOptions = { ...options.simulate, rankOps: true };
  const result = predictStep(spec, simulate);
  if (result.kind === "infeasible") return result;
  const seconds = waterfall(spec, result);
  const comparisons: Comparison[] = [];
  const unfit: { name: string; result: Infeasible }[] = [];
  for (const other of options.against ?? []) {
    const predicted = predictStep(other.spec, { ...simulate, suggest: false });
    if (predicted.kind === "infeasible") unfit.push({ name: other.name, result: predicted });
    else comparisons.push(differences({ name, spec, result }, { ...other, result: predicted }));
  }
  const plain = options.simulate ?? {};
  return {
    kind: "ok",
    name,
    result,
    waterfall: seconds,
    bottleneck: bottleneckOf(spec, seconds),
    sensitivities:
      options.sensitivities === false
        ? []
        : sensitivities(spec, {
            simulate: plain,
            base: result,
            ...(options.factors === undefined ? {} : { factors: options.factors }),
            onProgress: (done, total) => options.onProgress?.("sensitivities", done, total),
          }),
    comparisons,
    unfit,
    needs: (options.targets ?? []).flatMap(
      (target) =>
        needsFor(spec, target, {
          simulate: plain,
          base: result,
          onProgress: (done, total) => options.onProgress?.("what the target needs", done, total),
        }) ?? [],
    ),
  };
}
