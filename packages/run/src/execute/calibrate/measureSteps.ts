// What kernels take inside training steps: steps of small models (stepModels.ts) run as `meshwright run` runs them, and every op's time counts for the question that a
// price asks of it (cost/opKernels.ts). So operands, caches and compiled code are those of a step, and each kernel is measured by its own name.
//
// An op's time is its kernels' (engine/kernelClock.ts). What the interpreter needs between two ops is measured beside it: DeviceSpec.dispatchSec.

import type { AttentionPoint, GemmPoint, KernelPoints, MemoryPoint, Op } from "@meshwright/core";
import type { OpQuery } from "@meshwright/core/cost";
import type { ResolvedSpec } from "@meshwright/core/spec";
import type { RankLink } from "../engine/links.ts";
import { nowSec, type RankSpans } from "../engine/spanRecorder.ts";
import { prepareRun } from "../launch/prepare.ts";
import { median } from "../measure/opTotals.ts";
import type { ArenaMats } from "../memory/index.ts";
import { type Asked, Samples, stepEngine, stepQueries } from "./stepEngine.ts";
import { stepModels, stepSpec } from "./stepModels.ts";

export interface StepMeasurements {
  readonly points: KernelPoints;
  /** Seconds between two ops. */
  readonly dispatchSec: number;
}

/** Bytes that the largest of the models needs. */
export function stepBytes(quick: boolean): number {
  return Math.max(...stepModels(quick).map((model) => prepareRun(stepSpec(model)).arenaBytes[0]!)); // one rank
}

/** @param memory an empty arena of stepBytes(), for each model anew. */
export function measureSteps(memory: () => ArenaMats, quick: boolean): StepMeasurements {
  const samples = new Samples();
  const gaps: Gaps[] = [];
  for (const model of stepModels(quick)) gaps.push(runSteps(stepSpec(model), memory(), quick, samples));
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
    dispatchSec: dispatchOf(gaps),
  };
}

/** Means over the ops of a model's steps. */
interface Gaps {
  readonly gapSec: number;
  readonly opSec: number;
}

const numShort = 4;

/**
 * Seconds between ops of the models with the shortest ones, on whose steps they weigh. Between ops that work on megabytes the interpreter finds its own data out of the
 * caches and takes up to five times as long, a few per cent of such a step.
 */
function dispatchOf(gaps: readonly Gaps[]): number {
  const shortest = [...gaps].sort((a, b) => a.opSec - b.opSec).slice(0, numShort);
  return median(shortest.map(({ gapSec }) => gapSec));
}

type QueryOf<Kind extends OpQuery["kind"]> = Extract<OpQuery, { readonly kind: Kind }>;

/** Steps that compile code and touch the memory before any is counted; then as many as fit the time, within bounds. */
const warmSteps = 3;
const bounds = { least: 4, most: 12, budgetSec: 0.8 };
const quickBounds = { least: 2, most: 4, budgetSec: 0.2 };

/** Adds what the ops of a model took to `samples`. */
function runSteps(resolved: ResolvedSpec, memory: ArenaMats, quick: boolean, samples: Samples): Gaps {
  const { program } = prepareRun(resolved);
  const queries = stepQueries(program, resolved);
  const { step } = stepEngine(program, { link: alone, groups: silent, memory });
  const { least, most, budgetSec } = quick ? quickBounds : bounds;
  const gaps: Gaps[] = [];
  const startSec = nowSec();
  for (let i = 1 - warmSteps; i < most && (i < least || nowSec() - startSec < budgetSec); i++) {
    const { ran, spans } = step();
    if (i < 1) continue;
    samples.addStep(timesOf(queries, ran, spans));
    gaps.push(gapsOf(spans));
  }
  return { gapSec: median(gaps.map((each) => each.gapSec)), opSec: median(gaps.map((each) => each.opSec)) };
}

/** What each op took that asks one question, a question that repeats in parts. */
function timesOf(
  queries: ReadonlyMap<Op, Asked>,
  ran: readonly Op[],
  spans: RankSpans,
): { readonly query: OpQuery; readonly sec: number }[] {
  const opSpans = Array.from({ length: spans.count }, (_, i) => i).filter((i) => spans.level[i] === 1);
  return opSpans.flatMap((at, i) => {
    const asked = queries.get(ran[i]!); // a span for every op that ran
    if (asked === undefined) return [];
    return [{ query: asked.query, sec: (spans.endSec[at]! - spans.startSec[at]!) / asked.times }];
  });
}

/** Of the ops of a step's actions. */
function gapsOf({ count, level, startSec, endSec, categories, category }: RankSpans): Gaps {
  let actionsSec = 0;
  let opsSec = 0;
  let numOps = 0;
  let sinceSec = 0;
  let numSince = 0;
  for (let i = 0; i < count; i++) {
    const lasted = endSec[i]! - startSec[i]!;
    if (level[i] === 1) {
      sinceSec += lasted;
      numSince++;
      continue;
    }
    // An action follows its ops.
    if (categories[category[i]!] !== "optimizer") {
      actionsSec += lasted;
      opsSec += sinceSec;
      numOps += numSince;
    }
    sinceSec = 0;
    numSince = 0;
  }
  return { gapSec: (actionsSec - opsSec) / Math.max(1, numOps), opSec: opsSec / Math.max(1, numOps) };
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
