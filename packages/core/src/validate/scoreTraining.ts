// One training or memory row: predict its step, compare with what was measured.

import type { Infeasible, StepResult } from "../simulate/types.ts";
import { InputError } from "../units/errors.ts";
import { formatBytes } from "../units/format.ts";
import { libraryWorkspaceBytes, measuredPeakOf, predictedPeak } from "./rowMemory.ts";
import { child, count, num, type Row, text } from "./rowReader.ts";
import { errorOf } from "./summary.ts";
import { type RowSpec, specOfRow } from "./trainingRows.ts";
import type { RowFigures, ValidationRow } from "./types.ts";

export type StepSpec = Pick<RowSpec, "model" | "cluster" | "strategy" | "workload" | "software">;
export type Predictor = (spec: StepSpec, options?: { readonly ignoreMemory?: boolean }) => StepResult | Infeasible;

const GIB = 2 ** 30;

export function scoreTrainingRow(row: Row, predict: Predictor): ValidationRow {
  const base = {
    id: text(row, "id") ?? "unnamed row",
    source_key: text(row, "source_key") ?? "unknown source",
    tier: text(row, "tier") ?? (text(row, "kind") === "memory" ? "memory" : "core"),
  };
  const measured = measuredFigures(row);
  const oom = child(row, "measured").oom === true ? { oom: true } : {};
  const unsupported = (reason: string): ValidationRow => ({ ...base, ...oom, status: "unsupported", reason, measured });
  try {
    const spec = specOfRow(row);
    if ("unsupported" in spec) return unsupported(spec.unsupported);
    const beyond = beyondDevice(row, spec);
    if (beyond !== null) return unsupported(beyond);
    const { result, used, refusal } = isAnalytic(row) ? predictAnyway(spec, predict) : predictLeast(spec, predict);
    const predicted = predictedFigures(row, result, used, predict);
    const memoryError = errorOf({ predicted, measured }, "peak_memory");
    const error =
      errorOf({ predicted, measured }, "step_time") ?? memoryError ?? errorOf({ predicted, measured }, "activation");
    const main = base.tier === "memory" ? (memoryError ?? error) : error;
    return {
      ...base,
      ...oom,
      status: refusal === null ? "ok" : "infeasible",
      ...(refusal === null ? {} : { reason: refusalText(refusal) }),
      predicted,
      measured,
      ...(main === undefined ? {} : { error_frac: main }),
      ...(memoryError === undefined ? {} : { memory_error_frac: memoryError }),
      ...(used.notes.length === 0 ? {} : { notes: used.notes }),
    };
  } catch (error) {
    // One row that cannot be predicted, whatever the cause, does not take the others with it.
    return unsupported(error instanceof Error ? error.message.replaceAll("\n", "; ") : String(error));
  }
}

/** Figures computed for comparison (paper baselines that fit no device), not of a run: memory is no limit for them. */
function isAnalytic(row: Row): boolean {
  const measured = child(row, "measured");
  return num(measured, "activation_pct_of_tp_baseline") !== undefined || num(measured, "activation_gib") !== undefined;
}

function predictAnyway(
  spec: RowSpec,
  predict: Predictor,
): { result: StepResult; used: RowSpec; refusal: Infeasible | null } {
  const result = predict(spec, { ignoreMemory: true });
  if (result.kind !== "ok") throw new InputError({ path: "strategy", message: "The step cannot be simulated" });
  return { result, used: spec, refusal: null };
}

/** Sources round a full device up to its nominal size (80 GB of 79.1 usable GiB). */
const roundedUp = 1.02;

/** A peak larger than the device's memory was not measured on it: the row names the wrong device. */
function beyondDevice(row: Row, { cluster }: RowSpec): string | null {
  const peak = measuredPeakOf(row);
  if (peak === undefined || isAnalytic(row) || peak.bytes <= cluster.device.memoryBytes * roundedUp) return null;
  return `the measured peak of ${formatBytes(peak.bytes)} exceeds the ${formatBytes(cluster.device.memoryBytes)} of ${cluster.device.name}: the row names another device`;
}

/** The row's strategy; when it states no recomputation, the least of the ladder that fits. */
function predictLeast(
  spec: RowSpec,
  predict: Predictor,
): { result: StepResult; used: RowSpec; refusal: Infeasible | null } {
  const tries = [
    spec,
    ...spec.ladder.map((change) => ({
      ...spec,
      strategy: { ...spec.strategy, ...change },
      notes: [...spec.notes, `chosen by memory: ${JSON.stringify(change)}`],
    })),
  ];
  for (const used of tries) {
    const result = predict(used);
    if (result.kind === "ok") return { result, used, refusal: null };
  }
  const used = tries.at(-1) ?? spec;
  const refusal = predict(used);
  const result = predict(used, { ignoreMemory: true });
  if (result.kind !== "ok")
    throw new InputError({ path: "strategy", message: "The step cannot be simulated even without a memory limit" });
  return { result, used, refusal: refusal.kind === "ok" ? null : refusal };
}

function refusalText(refusal: Infeasible): string {
  return `pipeline rank ${refusal.pipelineRank} needs ${formatBytes(refusal.needBytes)} of ${formatBytes(refusal.haveBytes)}`;
}

function measuredFigures(row: Row): RowFigures {
  const measured = child(row, "measured");
  const step = num(measured, "step_time_s");
  const tokens = num(measured, "tokens_per_s_per_gpu");
  const peak = measuredPeakOf(row);
  const activation = num(measured, "activation_pct_of_tp_baseline");
  return {
    ...(step === undefined ? {} : { step_time_s: step }),
    ...(tokens === undefined ? {} : { tokens_per_s_per_gpu: tokens }),
    ...(peak === undefined ? {} : { peak_mem_gib: peak.bytes / GIB }),
    ...(activation === undefined ? {} : { activation_pct: activation }),
  };
}

function predictedFigures(row: Row, result: StepResult, used: RowSpec, predict: Predictor): RowFigures {
  const peak = measuredPeakOf(row) ?? ({ counts: "reserved", ranks: "worst" } as const);
  const activation = num(child(row, "measured"), "activation_pct_of_tp_baseline");
  const step = result.stepSec * batchScale(row, used);
  return {
    step_time_s: step,
    tokens_per_s_per_gpu: result.tokensPerSecPerDevice,
    peak_mem_gib:
      predictedPeak(result.ranks, peak, libraryWorkspaceBytes(row, used.cluster.device, used.software)) / GIB,
    ...(activation === undefined ? {} : { activation_pct: 100 * activationShare(result, used, predict) }),
  };
}

/** A global batch that had to be rounded to whole sequences per rank: the step scales with it. */
function batchScale(row: Row, used: RowSpec): number {
  const stated = count(row, "global_batch");
  return stated === undefined ? 1 : stated / used.workload.globalBatch;
}

/** First-stage activations relative to plain tensor parallelism without recomputation. */
function activationShare(result: StepResult, used: RowSpec, predict: Predictor): number {
  const plain = predict(
    { ...used, strategy: { ...used.strategy, sequenceParallel: false, recompute: { kind: "none" } } },
    { ignoreMemory: true },
  );
  if (plain.kind !== "ok") return Number.NaN;
  const first = (step: StepResult) =>
    step.ranks.find((rank) => rank.pipelineRank === 0)?.memory.activationBytes ?? Number.NaN;
  return first(result) / first(plain);
}
