// What kernels take inside training steps: steps of small models (stepModels.ts) run as `meshwright run` runs them, and every op's time counts for the question that a
// price asks of it (cost/opKernels.ts). So operands, caches and compiled code are those of a step, and each kernel is measured by its own name.
//
// An op's time is its kernels' (engine/kernelClock.ts). What the interpreter needs between two ops is measured beside it: DeviceSpec.dispatchSec.

import type { AttentionPoint, DeviceSpec, GemmPoint, KernelPoints, MemoryPoint } from "@meshwright/core";
import type { OpQuery } from "@meshwright/core/cost";
import type { ResolvedSpec } from "@meshwright/core/spec";
import type { RankLink } from "../engine/links.ts";
import { nowSec } from "../engine/spanRecorder.ts";
import { prepareRun } from "../launch/prepare.ts";
import { warmUp, warmUpSec } from "../launch/warmUp.ts";
import { median } from "../measure/opTotals.ts";
import type { ArenaMats } from "../memory/index.ts";
import { Gaps } from "./gaps.ts";
import type { LostTime } from "./lost.ts";
import { firstWrites, Samples, stepBytesOf, stepEngine, stepQueries, timesOf } from "./stepEngine.ts";
import { stepModels, stepSpec } from "./stepModels.ts";
import { quickWarmUpSec } from "./timing.ts";

export interface StepMeasurements {
  readonly points: KernelPoints;
  /** Between two ops (DeviceSpec). */
  readonly dispatchSec: number;
  readonly dispatchAfter: NonNullable<DeviceSpec["dispatchAfter"]>;
  /** What one rank loses while other cores rest. */
  readonly lost: LostTime;
}

/** Bytes that the largest of the models needs. */
export function stepBytes(quick: boolean): number {
  return Math.max(...stepModels(quick).map((model) => prepareRun(stepSpec(model)).arenaBytes[0]!)); // one rank
}

/** @param memory an empty arena of stepBytes(), for each model anew. */
export function measureSteps(memory: () => ArenaMats, quick: boolean): StepMeasurements {
  const samples = new Samples();
  const gaps = new Gaps(samples.lost);
  const models = stepModels(quick).map((model) => stepSpec(model));
  warm(models[0]!, memory(), quick); // there are models
  for (const model of models) runSteps(model, memory(), quick, { samples, gaps });
  const all = samples.all();
  const points = <Query extends OpQuery["kind"], Point>(
    kind: Query,
    pointOf: (query: QueryOf<Query>, sec: number) => Point,
  ) =>
    all.flatMap(({ query, stepSec }) =>
      query.kind === kind ? [pointOf(query as QueryOf<Query>, median(stepSec))] : [],
    );
  return {
    points: {
      gemm: points("gemm", gemmPoint),
      attention: points("attention", attentionPoint),
      memory: points("memory", memoryPoint),
    },
    ...gaps.figures(),
    lost: samples.lost.time(),
  };
}

type QueryOf<Kind extends OpQuery["kind"]> = Extract<OpQuery, { readonly kind: Kind }>;

/** Steps that touch the memory before any is counted; then as many as fit the time, within bounds. */
const warmSteps = 3;
const bounds = { least: 4, most: 12, budgetSec: 0.8 };
const quickBounds = { least: 2, most: 4, budgetSec: 0.2 };

function warm(resolved: ResolvedSpec, memory: ArenaMats, quick: boolean): void {
  const { step } = stepEngine(prepareRun(resolved).program, { link: alone, groups: silent, memory });
  warmUp(step, quick ? quickWarmUpSec : warmUpSec, alone, silent);
}

/** Adds what the ops of a model took, and what lay between them. */
function runSteps(
  resolved: ResolvedSpec,
  memory: ArenaMats,
  quick: boolean,
  { samples, gaps }: { readonly samples: Samples; readonly gaps: Gaps },
): void {
  const { program } = prepareRun(resolved);
  const queries = stepQueries(program, resolved);
  const first = { ops: firstWrites(program, resolved), numMicroBatches: program.microBatchesPerStep };
  const bytesOf = stepBytesOf(program, resolved);
  const { step } = stepEngine(program, { link: alone, groups: silent, memory });
  const { least, most, budgetSec } = quick ? quickBounds : bounds;
  const startSec = nowSec();
  for (let i = 1 - warmSteps; i < most && (i < least || nowSec() - startSec < budgetSec); i++) {
    const record = step();
    if (i < 1) continue;
    samples.addStep(timesOf(queries, record, first));
    gaps.add(record, bytesOf);
  }
}

function gemmPoint({ m, n, k, batch, dtype, layout }: QueryOf<"gemm">, durationSec: number): GemmPoint {
  return { m, n, k, batch, dtype: dtype as GemmPoint["dtype"], layout, durationSec }; // the models are fp32
}

function attentionPoint(query: QueryOf<"attention">, durationSec: number): AttentionPoint {
  const { phase, batch, seqQ: seq, heads, kvHeads, headDim } = query;
  // dtype is what prices of attention are asked for; the arithmetic here is f32.
  return { phase, batch, seq, heads, kvHeads, headDim, causal: true, dtype: "bf16", durationSec };
}

function memoryPoint({ kernel, access, sizeBytes, numKernels }: QueryOf<"memory">, durationSec: number): MemoryPoint {
  return { ...(kernel === undefined ? {} : { kernel }), access, sizeBytes, numKernels, durationSec };
}

function silent(): never {
  throw new Error("Meshwright bug: a rank that is alone sends nothing");
}

const alone: RankLink = { rank: 0, numRanks: 1, post: silent, wait: silent, receive: silent };
