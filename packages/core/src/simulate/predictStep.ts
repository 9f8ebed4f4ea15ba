// Model, cluster, strategy, workload and software in; one training step out.

import { placedCluster } from "../cluster/index.ts";
import type { ClusterSpec } from "../cluster/types.ts";
import type { ModelSpec } from "../model/types.ts";
import { lowerTraining } from "../parallel/lower/index.ts";
import type { Software, Strategy, Workload } from "../parallel/strategy.ts";
import { InputError } from "../units/errors.ts";
import { settleBalance } from "./balance.ts";
import type { SimulateOptions } from "./options.ts";
import { simulateProgram } from "./simulateProgram.ts";
import { singleMoves, suggestFits } from "./suggest.ts";
import type { FitSuggestion, Infeasible, StepResult } from "./types.ts";

export interface StepSpec {
  readonly model: ModelSpec;
  readonly cluster: ClusterSpec;
  readonly strategy: Strategy;
  readonly workload: Workload;
  readonly software: Software;
}

/** Predicted step, or why it does not fit (with changes that would, unless `suggest` is false). Throws InputError on a strategy that does not divide. */
export function predictStep(spec: StepSpec, options: SimulateOptions = {}): StepResult | Infeasible {
  const result = predictOnce(spec, options);
  if (result.kind === "ok" || options.suggest === false) return result;
  const { timeline: _, ...plain } = options;
  return { ...result, suggestions: suggestFits(spec, (candidate) => predictCandidate(candidate, plain)) };
}

/**
 * What single changes of the strategy would make of memory and time: peak of the fullest rank and step of each, whether they fit or not. The changes are
 * those that a step that does not fit is offered (FitSuggestion).
 */
export function memoryMoves(spec: StepSpec): readonly FitSuggestion[] {
  return singleMoves(spec, (candidate) => predictCandidate(candidate, { ignoreMemory: true }));
}

/** null: a candidate that does not divide is no candidate. */
function predictCandidate(candidate: StepSpec, options: SimulateOptions): StepResult | Infeasible | null {
  try {
    return predictOnce(candidate, options);
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
}

function predictOnce(asked: StepSpec, options: SimulateOptions): StepResult | Infeasible {
  const cluster = placedCluster(asked.cluster, asked.strategy.groupOrder);
  checkSize({ ...asked, cluster });
  const settled = settleBalance({ ...asked, cluster }, options);
  const { model, strategy, workload, software } = settled;
  const program = lowerTraining(model, strategy, workload, software);
  const result = simulateProgram(program, { cluster, software, model, workload }, options);
  if (strategy === asked.strategy) return result;
  const { stageLayers, replicaShares } = strategy;
  return {
    ...result,
    settled: {
      ...(asked.strategy.balanceStages === true && stageLayers !== null ? { stageLayers } : {}),
      ...(asked.strategy.balanceShares === true && replicaShares !== undefined ? { replicaShares } : {}),
    },
  };
}

function checkSize({ cluster, strategy }: StepSpec): void {
  const needed = strategy.tp * strategy.cp * strategy.dp * strategy.pp;
  if (needed > cluster.numDevices) {
    throw new InputError({
      path: "strategy",
      message: `Cannot place tp=${strategy.tp} x cp=${strategy.cp} x dp=${strategy.dp} x pp=${strategy.pp} = ${needed} ranks on cluster "${cluster.name}" of ${cluster.numDevices} devices`,
      hint: "use a larger cluster or smaller axes",
    });
  }
}
