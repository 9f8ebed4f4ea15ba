// The task `judge`: one strategy in figures and words - what the plan page shows of the strategy that is picked. Where it does not fit: what is missing
// and the changes that would fit.

import { bottleneckOf, differences, readPlanRequest, strategyWords, waterfall } from "@meshwright/core/plan";
import { layoutText, memoryParts, slowestRank, timeParts } from "@meshwright/core/report";
import { type FitSuggestion, type MemoryBreakdown, predictStep, type StepResult } from "@meshwright/core/simulate";
import { type ResolvedSpec, resolveSpec } from "@meshwright/core/spec";
import type { RunFile } from "../state/runFile.ts";
import { noFiles } from "./predict.ts";

export interface Share {
  readonly key: string;
  readonly name: string;
  readonly value: number;
}

interface Judged {
  readonly layout: string;
  readonly words: string;
  /** Bytes of the fullest rank, by kind. */
  readonly memory: readonly Share[];
  readonly capacityBytes: number;
  readonly notes: readonly string[];
}

export interface JudgeInput {
  readonly run: RunFile;
  /** Another strategy of the same job, to say what tells them apart; null for none. */
  readonly against: RunFile | null;
}

export interface FittingJudgement extends Judged {
  readonly kind: "ok";
  readonly why: string;
  /** Against the other strategy, in a sentence; null without one, or where it is the same. */
  readonly compared: string | null;
  /** How long the token budget of the search takes. */
  readonly budget: { readonly tokens: number; readonly durationSec: number } | null;
  readonly stepSec: number;
  readonly relStd: number;
  readonly tokensPerSec: number;
  readonly tokensPerSecPerDevice: number;
  readonly mfuCausal: number;
  readonly energyJoulesPerToken: number;
  readonly usdPerBillionTokens: number | null;
  readonly peakBytes: number;
  /** Seconds of the slowest rank, in the order they are stacked. */
  readonly time: readonly Share[];
}

export interface InfeasibleJudgement extends Judged {
  readonly kind: "infeasible";
  readonly reason: "memory" | "hostMemory";
  readonly pipelineRank: number;
  readonly needBytes: number;
  readonly haveBytes: number;
  readonly suggestions: readonly FitSuggestion[];
}

export type Judgement = FittingJudgement | InfeasibleJudgement;

/** Throws InputError with every finding. */
export function judge({ run, against }: JudgeInput): Judgement {
  const spec = resolveSpec(run, noFiles);
  const result = predictStep(spec, { rankOps: true });
  const { strategy } = spec;
  const said = { layout: layoutText(strategy), words: strategyWords(spec), notes: spec.notes };
  if (result.kind === "infeasible")
    return {
      ...said,
      kind: "infeasible",
      reason: result.reason,
      pipelineRank: result.pipelineRank,
      needBytes: result.needBytes,
      haveBytes: result.haveBytes,
      memory: sharesOf(result.memory),
      capacityBytes: result.memory.capacityBytes,
      suggestions: result.suggestions ?? [],
    };
  const { memory } = result.ranks[result.peakRank]!; // every step has a fullest rank
  const slowest = slowestRank(result);
  const { tokens } = readPlanRequest(run.plan ?? {});
  return {
    ...said,
    kind: "ok",
    why: bottleneckOf(spec, waterfall(spec, result)).sentence,
    compared: against === null ? null : comparedTo(against, spec, result),
    budget: tokens === null ? null : { tokens, durationSec: tokens / result.tokensPerSec },
    stepSec: result.stepSec,
    relStd: result.relStd,
    tokensPerSec: result.tokensPerSec,
    tokensPerSecPerDevice: result.tokensPerSecPerDevice,
    mfuCausal: result.mfuCausal,
    energyJoulesPerToken: result.energyJoules / (result.tokensPerSec * result.stepSec),
    usdPerBillionTokens: result.usdPerBillionTokens,
    peakBytes: memory.peakBytes,
    time: timeParts.map(({ key, name, seconds }) => ({ key, name, value: seconds(slowest) })),
    memory: sharesOf(memory),
    capacityBytes: memory.capacityBytes,
    notes: [...said.notes, ...result.notes],
  };
}

/** What the strategy loses to another, or gains on it. */
function comparedTo(against: RunFile, spec: ResolvedSpec, result: StepResult): string | null {
  const other = resolveSpec(against, noFiles);
  const otherResult = predictStep(other, { rankOps: true, suggest: false });
  if (otherResult.kind !== "ok" || JSON.stringify(other.strategy) === JSON.stringify(spec.strategy)) return null;
  const mine = { name: "this strategy", spec, result };
  const best = { name: "the best", spec: other, result: otherResult };
  return otherResult.stepSec <= result.stepSec ? differences(best, mine).sentence : differences(mine, best).sentence;
}

function sharesOf(memory: MemoryBreakdown): Share[] {
  return memoryParts.map(({ key, name, bytes }) => ({ key, name, value: bytes(memory) }));
}
