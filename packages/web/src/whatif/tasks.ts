// The tasks of the what-if page: the changed step beside the step as it is, what each dial may be set to, what else would change it, and how it scales.

import {
  bottleneckOf,
  type Sensitivity,
  sensitivities,
  strategyDescription,
  waterfall,
  withCopies,
} from "@meshwright/core/plan";
import { layoutText, type WaterfallRow, waterfallRows } from "@meshwright/core/report";
import { type Infeasible, predictStep, type StepResult } from "@meshwright/core/simulate";
import { type ResolvedSpec, resolveSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import { noFiles } from "../compute/predict.ts";
import { settledRun } from "../compute/settledRun.ts";
import type { RunFile, Section } from "../state/runFile.ts";
import type { Change, JobDialId } from "./change.ts";
import { changedRun, withoutChunks, writtenCluster } from "./changedRun.ts";

export interface StepFacts {
  readonly kind: "ok";
  readonly stepSec: number;
  readonly relStd: number;
  readonly tokensPerSec: number;
  readonly tokensPerSecPerDevice: number;
  readonly mfuCausal: number;
  readonly peakBytes: number;
  readonly capacityBytes: number;
  readonly usdPerBillionTokens: number | null;
  readonly numDevices: number;
  readonly layout: string;
  readonly bottleneck: string;
  readonly rows: readonly WaterfallRow[];
}

export interface UnfitFacts {
  readonly kind: "unfit";
  readonly layout: string;
  readonly needBytes: number;
  readonly haveBytes: number;
  readonly pipelineRank: number;
}

export type Facts = StepFacts | UnfitFacts;

/** Present figures that hardware dials turn. */
export interface HardwareFacts {
  readonly nic: number;
  readonly fabric_latency: number;
  readonly scale_up: number;
  readonly hbm: number;
  readonly peak: number;
  readonly power: number;
  readonly memory: number;
}

export interface WhatIfInput {
  readonly run: RunFile;
  readonly change: Change;
}

export interface WhatIfAnswer {
  /** The rule that chose the strategy, where the run file holds none. */
  readonly rule: string | null;
  readonly base: Facts;
  readonly changed: Facts;
  /** The changed job, to predict or to go on with. */
  readonly run: RunFile;
  /** Null: hardware of a mixed cluster is not turned. */
  readonly hardware: HardwareFacts | null;
  /** Values of the job as it is, by dial. */
  readonly present: Readonly<Record<JobDialId, number>>;
}

interface Base {
  readonly key: string;
  readonly rule: string | null;
  readonly run: RunFile;
  readonly spec: ResolvedSpec;
  readonly facts: Facts;
}

/** The job as it is: a dial that moves asks for it again and again. */
let last: Base | undefined;

function baseOf(run: RunFile): Base {
  const key = JSON.stringify(run);
  if (last?.key === key) return last;
  const settled = settledRun(run);
  const spec = resolveSpec(settled.run, noFiles);
  last = { key, ...settled, spec, facts: factsOf(spec) };
  return last;
}

export function whatIf({ run, change }: WhatIfInput): WhatIfAnswer {
  const base = baseOf(run);
  const changed = resolvedChange(base, change);
  return {
    rule: base.rule,
    base: base.facts,
    changed: changed.run === base.run ? base.facts : factsOf(changed.spec),
    run: changed.run,
    hardware: hardwareOf(base.spec),
    present: presentOf(base.spec),
  };
}

/** Other pipelines may not divide into the chunks of this one: then each rank has one. */
function resolvedChange(base: Base, change: Change): { readonly run: RunFile; readonly spec: ResolvedSpec } {
  if (Object.keys(change.hardware).length + Object.keys(change.job).length === 0) return base;
  const run = changedRun(base.run, base.spec, change);
  try {
    return { run, spec: resolveSpec(run, noFiles) };
  } catch (error) {
    if (!(error instanceof InputError) || (change.job.pp === undefined && change.job.tp === undefined)) throw error;
    const plain = withoutChunks(run);
    try {
      return { run: plain, spec: resolveSpec(plain, noFiles) };
    } catch {
      throw error;
    }
  }
}

function factsOf(spec: ResolvedSpec): Facts {
  const result = predictStep(spec, { rankOps: true, suggest: false });
  return result.kind === "ok" ? stepFacts(spec, result) : unfitFacts(spec, result);
}

function stepFacts(spec: ResolvedSpec, result: StepResult): StepFacts {
  const seconds = waterfall(spec, result);
  const { memory } = result.ranks[result.peakRank]!; // an index of ranks
  return {
    kind: "ok",
    stepSec: result.stepSec,
    relStd: result.relStd,
    tokensPerSec: result.tokensPerSec,
    tokensPerSecPerDevice: result.tokensPerSecPerDevice,
    mfuCausal: result.mfuCausal,
    peakBytes: memory.peakBytes,
    capacityBytes: memory.capacityBytes,
    usdPerBillionTokens: result.usdPerBillionTokens,
    numDevices: spec.cluster.numDevices,
    layout: layoutText(spec.strategy),
    bottleneck: bottleneckOf(spec, seconds).sentence,
    rows: waterfallRows(seconds),
  };
}

function unfitFacts(spec: ResolvedSpec, { needBytes, haveBytes, pipelineRank }: Infeasible): UnfitFacts {
  return { kind: "unfit", layout: layoutText(spec.strategy), needBytes, haveBytes, pipelineRank };
}

function hardwareOf({ cluster }: ResolvedSpec): HardwareFacts | null {
  if (cluster.groups !== undefined) return null;
  const { device, levels } = cluster;
  const outermost = levels.at(-1)!; // a cluster has at least one level
  return {
    nic: outermost.bytesPerSec,
    fabric_latency: outermost.latencySec,
    scale_up: levels[0]!.bytesPerSec, // see above
    hbm: device.memoryBytesPerSec,
    peak: device.peakFlopsPerSec.bf16 ?? device.peakFlopsPerSec.fp16 ?? device.peakFlopsPerSec.fp32 ?? 0,
    power: device.tdpWatts,
    memory: device.memoryBytes,
  };
}

function presentOf({ strategy, workload }: ResolvedSpec): Readonly<Record<JobDialId, number>> {
  return {
    seq: workload.seqLen,
    global_batch: workload.globalBatch,
    micro_batch: strategy.microBatch,
    tp: strategy.tp,
    cp: strategy.cp,
    pp: strategy.pp,
    ep: strategy.ep,
  };
}

export type Choices = Readonly<Record<JobDialId, readonly number[]>>;

/** Values that each dial may take with the others as they are: those that divide. */
export function whatIfChoices({ run, change }: WhatIfInput): Choices {
  const base = baseOf(run);
  const now = { ...presentOf(base.spec), ...change.job };
  const { numDevices } = base.spec.cluster;
  const sizes = divisors(numDevices).filter((size) => size <= 64);
  const experts = base.spec.model.layerKinds.some(({ ffn }) => ffn.kind === "moe");
  const tried: Readonly<Record<JobDialId, readonly number[]>> = {
    seq: powers(512, 2 ** 20),
    global_batch: powers(1, 2 ** 16),
    micro_batch: powers(1, 64),
    tp: sizes,
    cp: sizes,
    pp: sizes,
    ep: experts ? sizes : [1],
  };
  const divides = (dial: JobDialId, value: number): boolean => {
    try {
      resolvedChange(base, { hardware: {}, job: { ...change.job, [dial]: value } });
      return true;
    } catch (error) {
      if (error instanceof InputError) return false;
      throw error;
    }
  };
  return Object.fromEntries(
    Object.entries(tried).map(([dial, values]) => {
      const id = dial as JobDialId; // a key of `tried`
      const own = new Set([...values, now[id]]);
      return [id, [...own].sort((a, b) => a - b).filter((value) => value === now[id] || divides(id, value))];
    }),
  ) as unknown as Choices; // the same keys
}

function divisors(value: number): readonly number[] {
  const found: number[] = [];
  for (let each = 1; each <= Math.min(value, 64); each++) if (value % each === 0) found.push(each);
  return found;
}

function powers(from: number, to: number): readonly number[] {
  const found: number[] = [];
  for (let value = from; value <= to; value *= 2) found.push(value);
  return found;
}

/** One thing changed at a time, from the changed job; empty where that does not fit. */
export function whatIfSensitivities({ run, change }: WhatIfInput): readonly Sensitivity[] {
  return sensitivities(resolvedChange(baseOf(run), change).spec);
}

export interface ScalingPoint {
  readonly numDevices: number;
  readonly dp: number;
  readonly globalBatch: number;
  readonly stepSec: number;
  readonly tokensPerSec: number;
  readonly mfuCausal: number;
  /** Tokens per second and device, over those of the smallest size. */
  readonly efficiencyFrac: number;
  readonly run: RunFile;
}

export interface Scaling {
  /** The same batch on more devices. */
  readonly strong: readonly ScalingPoint[];
  /** A batch that grows with them. */
  readonly weak: readonly ScalingPoint[];
  /** Why there is nothing to show. */
  readonly reason: string | null;
}

const MOST_COPIES = 4096;
const MOST_POINTS = 9;

/** The changed job with more and fewer data parallel copies. */
export function whatIfScaling({ run, change }: WhatIfInput): Scaling {
  const base = resolvedChange(baseOf(run), change);
  const { cluster } = base.spec;
  if (cluster.groups !== undefined)
    return { strong: [], weak: [], reason: "A cluster of several groups has no one way to grow" };
  const points = (weak: boolean) => scaled(base, weak);
  const [strong, weak] = [points(false), points(true)];
  const reason =
    weak.length > 1 ? null : "The description of the cluster does not say what would join more of its nodes";
  return { strong, weak, reason };
}

function scaled(base: { readonly run: RunFile; readonly spec: ResolvedSpec }, weak: boolean): readonly ScalingPoint[] {
  const { spec, run } = base;
  const found: Omit<ScalingPoint, "efficiencyFrac">[] = [];
  for (const dp of copyCounts(spec.strategy.dp)) {
    const changed = withCopies(spec, dp, weak ? null : spec.workload.globalBatch);
    if (changed === null || found.length >= MOST_POINTS) continue;
    try {
      const result = predictStep(changed, { suggest: false });
      if (result.kind !== "ok") continue;
      const resized: RunFile = {
        ...run,
        cluster: writtenCluster(run, spec, changed.cluster),
        workload: { seq: changed.workload.seqLen, global_batch: changed.workload.globalBatch },
        strategy: strategyDescription(changed.strategy) as Section,
      };
      found.push({
        numDevices: changed.cluster.numDevices,
        dp,
        globalBatch: changed.workload.globalBatch,
        stepSec: result.stepSec,
        tokensPerSec: result.tokensPerSec,
        mfuCausal: result.mfuCausal,
        run: resized,
      });
    } catch (error) {
      // A batch that does not divide over so many copies is no point of the curve.
      if (!(error instanceof InputError)) throw error;
    }
  }
  const first = found[0];
  return found.map((point) => ({
    ...point,
    efficiencyFrac:
      first === undefined ? 1 : point.tokensPerSec / point.numDevices / (first.tokensPerSec / first.numDevices),
  }));
}

/** Halvings down to few copies, then doublings. */
function copyCounts(dp: number): readonly number[] {
  const counts: number[] = [];
  for (let less = dp; Number.isInteger(less) && less >= 1; less /= 2) counts.unshift(less);
  for (let more = dp * 2; more <= MOST_COPIES; more *= 2) counts.push(more);
  return counts;
}
