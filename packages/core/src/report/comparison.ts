// Several predicted jobs side by side: which is fastest, what ties with it, and the figures that the text, the JSON and the page all show. Jobs whose steps
// hold the same number of tokens are compared by step time, others by the time of a billion tokens. A job that does not fit stays a column.
//
// "Fastest" is the whole job's tokens a second; that a job with more devices costs more is another row of the table. Ties are those of plan/explain:
// closer than the uncertainty of the two jobs' ratio, in which what they share cancels.

import {
  type Comparison,
  type ComponentKey,
  componentName,
  componentSeconds,
  differences,
  waterfall,
} from "../plan/explain/index.ts";
import type { Infeasible, MemoryBreakdown, StepResult } from "../simulate/types.ts";
import type { ResolvedSpec } from "../spec/types.ts";
import { formatBytes, formatCount, formatPercent, formatSeconds, formatUsd, grouped } from "../units/format.ts";
import type { Tone } from "./paint.ts";
import { specKey } from "./specKey.ts";

export interface ComparedJob {
  /** Title of its column; each name once. */
  readonly name: string;
  readonly spec: ResolvedSpec;
  /** Predicted with `rankOps`. */
  readonly result: StepResult | Infeasible;
  /** The rule that chose the strategy, when a named baseline did. */
  readonly baseline?: { readonly title: string; readonly source: string };
}

export interface FittingJob extends ComparedJob {
  readonly result: StepResult;
}

export interface SkippedBaseline {
  readonly name: string;
  readonly title: string;
  readonly reason: string;
}

export interface JobComparison {
  readonly jobs: readonly ComparedJob[];
  /** Baselines whose rule gives no strategy here. */
  readonly skipped: readonly SkippedBaseline[];
  readonly fastest: FittingJob | null;
  /** The others that fit against the fastest, in the order of the jobs. */
  readonly verdicts: readonly Comparison[];
  /** Set when all steps hold as many tokens: times are of a step. Otherwise they are of a billion tokens. */
  readonly tokensPerStep: number | null;
}

export function compareJobs(jobs: readonly ComparedJob[], skipped: readonly SkippedBaseline[]): JobComparison {
  const fitting = jobs.filter(fits);
  const fastest = fitting.reduce<FittingJob | null>(
    (best, job) => (best === null || job.result.tokensPerSec > best.result.tokensPerSec ? job : best),
    null,
  );
  const tokens = new Set(jobs.map(({ spec }) => spec.workload.globalBatch * spec.workload.seqLen));
  return {
    jobs,
    skipped,
    fastest,
    verdicts: fastest === null ? [] : fitting.filter((job) => job !== fastest).map((job) => differences(fastest, job)),
    tokensPerStep: tokens.size === 1 ? [...tokens][0]! : null,
  };
}

export function fits(job: ComparedJob): job is FittingJob {
  return job.result.kind === "ok";
}

/** Seconds of a job's step, or part of it, as the comparison shows them. */
export function comparedSec(of: JobComparison, job: FittingJob, durationSec: number): number {
  if (of.tokensPerStep !== null) return durationSec;
  return (durationSec * 1e9) / (job.spec.workload.globalBatch * job.spec.workload.seqLen);
}

export function timeTitle(of: JobComparison): string {
  return of.tokensPerStep === null ? "Time for a billion tokens" : "Step time";
}

export interface Component {
  readonly key: ComponentKey;
  readonly name: string;
  /** Its letter or block in a bar of text. */
  readonly fill: string;
  readonly tone: Tone;
}

/** What a step's seconds are shown as, in the order they are stacked. */
export const components: readonly Component[] = (
  [
    ["kernels", "█", "green"],
    ["memory", "▓", "green"],
    ["recompute", "r", "blue"],
    ["tp", "t", "yellow"],
    ["cp", "c", "yellow"],
    ["ep", "e", "yellow"],
    ["dp", "d", "yellow"],
    ["pp", "p", "yellow"],
    ["copy", "h", "magenta"],
    ["host", "l", "magenta"],
    ["imbalance", "i", "red"],
    ["bubble", "·", "red"],
    ["optimizer", "o", "cyan"],
    ["straggler", "w", "red"],
  ] as const
).map(([key, fill, tone]) => ({ key, name: componentName(key), fill, tone }));

/** Seconds of each component of a step, of the mean device; together they are the step. */
export function shownSeconds(job: FittingJob): ReadonlyMap<ComponentKey, number> {
  const of = waterfall(job.spec, job.result);
  const seconds = componentSeconds(of);
  return new Map(
    components.map(({ key }) => {
      const sec = seconds.get(key)!;
      // What is left of sums of floats is no part of the step.
      return [key, Math.abs(sec) < 1e-9 * of.stepSec ? 0 : sec];
    }),
  );
}

/** Components that at least one job has. */
export function shownComponents(jobs: readonly FittingJob[]): readonly Component[] {
  const seconds = jobs.map(shownSeconds);
  return components.filter(({ key }) => seconds.some((parts) => parts.get(key) !== 0));
}

export interface Metric {
  readonly name: string;
  readonly of: (job: FittingJob) => string;
}

/** Rows of the table. */
export function metrics(of: JobComparison): readonly Metric[] {
  const time = (job: FittingJob, factor: number) => formatSeconds(comparedSec(of, job, job.result.stepSec * factor));
  const devices = new Set(of.jobs.map(({ spec }) => spec.cluster.numDevices));
  const priced = of.jobs.some((job) => fits(job) && job.result.usdPerBillionTokens !== null);
  return [
    ...(devices.size > 1 ? [{ name: "devices", of: (job: FittingJob) => grouped(job.spec.cluster.numDevices) }] : []),
    { name: timeTitle(of).toLowerCase(), of: (job) => time(job, 1) },
    { name: "  from", of: (job) => time(job, 1 - job.result.relStd) },
    { name: "  to (one deviation)", of: (job) => time(job, 1 + job.result.relStd) },
    { name: "tokens/s", of: (job) => formatCount(job.result.tokensPerSec) },
    { name: "tokens/s per device", of: (job) => grouped(job.result.tokensPerSecPerDevice) },
    { name: "MFU (causal)", of: (job) => formatPercent(job.result.mfuCausal) },
    { name: "HFU", of: (job) => formatPercent(job.result.hfu) },
    { name: "peak memory", of: (job) => formatBytes(peakMemory(job).peakBytes) },
    { name: "  of capacity", of: (job) => formatPercent(peakMemory(job).peakBytes / peakMemory(job).capacityBytes) },
    { name: "energy per B tokens", of: (job) => `${grouped(energyKwhPerBillionTokens(job))} kWh` },
    ...(priced ? [{ name: "cost per B tokens", of: (job: FittingJob) => costText(job) }] : []),
  ];
}

/** Memory of the fullest pipeline rank, or of the one that does not fit. */
export function peakMemory({ result }: ComparedJob): MemoryBreakdown {
  return result.kind === "ok" ? result.ranks[result.peakRank]!.memory : result.memory;
}

/** How far memory is drawn: a job that needs several times its device's memory would leave the others no room. */
export function memoryScaleBytes(of: JobComparison): number {
  const all = of.jobs.map(peakMemory);
  const capacity = Math.max(...all.map((memory) => memory.capacityBytes));
  return Math.min(1.6 * capacity, Math.max(capacity, ...all.map((memory) => memory.peakBytes)));
}

export function energyKwhPerBillionTokens(job: FittingJob): number {
  const { energyJoules, tokensPerSec, stepSec } = job.result;
  return ((energyJoules / (tokensPerSec * stepSec)) * 1e9) / 3.6e6;
}

export function costText(job: FittingJob): string {
  return job.result.usdPerBillionTokens === null ? "no price" : formatUsd(job.result.usdPerBillionTokens);
}

/** Headline and one sentence per job that is not the fastest. */
export function verdictLines(of: JobComparison): readonly string[] {
  const { fastest, verdicts, jobs, skipped } = of;
  const ties = verdicts.filter((verdict) => verdict.tie).map((verdict) => verdict.other);
  const headline =
    fastest === null
      ? "None of the jobs fits"
      : verdicts.length === 0
        ? `${fastest.name} is the only job that fits`
        : ties.length === 0
          ? `${fastest.name} is the fastest`
          : `${tied([fastest.name, ...ties])} tie: the prediction cannot tell them apart`;
  return [
    headline,
    ...perDeviceLine(of),
    ...verdicts.map((verdict) => verdict.sentence),
    ...jobs.flatMap(({ name, result }) => (result.kind === "infeasible" ? [unfitSentence(name, result)] : [])),
    ...skipped.map((each) => `${each.name} (${each.title}) gives no strategy: ${each.reason}`),
  ];
}

/** Where jobs have different numbers of devices, the fastest need not use them best. */
function perDeviceLine({ jobs, fastest }: JobComparison): readonly string[] {
  const fitting = jobs.filter(fits);
  if (new Set(fitting.map(({ spec }) => spec.cluster.numDevices)).size < 2) return [];
  const best = fitting.reduce((most, job) =>
    job.result.tokensPerSecPerDevice > most.result.tokensPerSecPerDevice ? job : most,
  );
  const rate = (job: FittingJob) => `${grouped(job.result.tokensPerSecPerDevice)} tokens/s`;
  return best === fastest || fastest === null
    ? [`${best.name} also does most per device: ${rate(best)}`]
    : [`${best.name} does most per device: ${rate(best)}, against ${rate(fastest)} of ${fastest.name}`];
}

function tied(names: readonly string[]): string {
  const all = names.length <= 4;
  const first = all ? names.slice(0, -1) : names.slice(0, 3);
  return `${first.join(", ")} and ${all ? names.at(-1) : `${names.length - 3} more`}`;
}

function unfitSentence(name: string, { pipelineRank, needBytes, haveBytes, suggestions }: Infeasible): string {
  const [change] = suggestions ?? [];
  const cure =
    change === undefined
      ? ""
      : `; it would with ${Object.entries(change.changes)
          .map(([path, value]) => `${specKey(path).replace(/^(strategy|workload)\./, "")}=${value}`)
          .join(", ")}`;
  return `${name} does not fit: pipeline rank ${pipelineRank} needs ${formatBytes(needBytes)} of ${formatBytes(haveBytes)}${cure}`;
}
