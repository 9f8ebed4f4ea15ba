// What examples/papers/published.json says, and how a published figure is computed from predictions of the specs beside it.
//
// A figure is a measure of one set-up, or of one set-up over another. Claims of the form "up to" take the largest of several cases, lower ends the
// smallest. Where a paper reports the best of a system's settings, a case lists alternatives and the best that fits memory counts.

import { flopsPerToken } from "../../packages/core/src/model/flops.ts";
import { embeddingParameters } from "../../packages/core/src/model/parameterCounts.ts";
import type { ResolvedSpec } from "../../packages/core/src/spec/index.ts";
import type { Predictor } from "./predictor.ts";

/** `file.yaml`, or the same with changes of single fields, as `meshwright predict file.yaml --set path=value` makes them. */
export type SpecChoice = string | { readonly spec: string; readonly set: Readonly<Record<string, unknown>> };

export interface FigureCase {
  /** One set-up or alternatives. */
  readonly of: SpecChoice | readonly SpecChoice[];
  /** What it is divided by. */
  readonly over?: SpecChoice | readonly SpecChoice[];
}

/**
 * `model...`: FLOPs of forward and backward, whole attention matrix (the convention of these papers). `recomputed...`: one more forward of the layers,
 * as Megatron-LM counts under full recomputation (arXiv 2104.04473, equation 3) and as its logs print it, whatever kernel computes the attention.
 */
export type Measure =
  | "tokensPerSec"
  | "tokensPerSecPerDevice"
  | "mfu"
  | "hfuRecomputed"
  | "modelTflopsPerDevice"
  | "recomputedTflopsPerDevice"
  | "modelPflops"
  | "recomputedPflops"
  | "activationBytes"
  | "largest:strategy.micro_batch"
  | "largest:workload.seq";

export interface ComputedFigure {
  readonly what: string;
  readonly where: string;
  readonly published: number;
  /** `%` (of 1), `x` (a ratio), `gain` (a ratio less 1, printed in per cent), or a unit. */
  readonly unit: string;
  /** What the paper says of it: this much (when absent), at least this, up to this. */
  readonly claim?: "atLeast" | "upTo";
  readonly measure: Measure;
  readonly cases: readonly FigureCase[];
  /** Of several cases: the largest (when absent) or the smallest. */
  readonly take?: "min";
  /** Set-ups that the paper ran although our memory says no are predicted all the same. */
  readonly ignoreMemory?: boolean;
  /** Why ours differs, where it does. */
  readonly why?: string;
}

/** A claim about something that cannot be expressed yet. */
export interface PendingFigure {
  readonly what: string;
  readonly where: string;
  readonly published: string;
  readonly notYet: string;
}

export type PublishedFigure = ComputedFigure | PendingFigure;

export interface Paper {
  readonly id: string;
  /** What the page calls it. */
  readonly name: string;
  readonly title: string;
  readonly citation: string;
  readonly url: string;
  /** Where the set-up is from and what it leaves open. */
  readonly setup: string;
  readonly figures: readonly PublishedFigure[];
}

export interface PublishedFile {
  readonly about: string;
  readonly papers: readonly Paper[];
}

export function isPending(figure: PublishedFigure): figure is PendingFigure {
  return "notYet" in figure;
}

/** The figure as we predict it, or in words why it cannot be (a set-up that does not fit memory). */
export function readFigure(figure: ComputedFigure, predictor: Predictor): number | string {
  const values: number[] = [];
  for (const each of figure.cases) {
    const top = best(each.of, figure, predictor);
    if (typeof top === "string") return top;
    const bottom = each.over === undefined ? 1 : best(each.over, figure, predictor);
    if (typeof bottom === "string") return bottom;
    values.push(top / bottom);
  }
  const value = figure.take === "min" ? Math.min(...values) : Math.max(...values);
  return figure.unit === "gain" ? value - 1 : value;
}

function best(
  choices: SpecChoice | readonly SpecChoice[],
  figure: ComputedFigure,
  predictor: Predictor,
): number | string {
  const list: readonly SpecChoice[] = isList(choices) ? choices : [choices];
  let reason = "";
  let found: number | undefined;
  for (const choice of list) {
    const value = measured(choice, figure.measure, figure.ignoreMemory === true, predictor);
    if (typeof value === "string") reason ||= value;
    else found = Math.max(found ?? value, value);
  }
  return found ?? reason;
}

function isList(choices: SpecChoice | readonly SpecChoice[]): choices is readonly SpecChoice[] {
  return Array.isArray(choices);
}

function measured(choice: SpecChoice, measure: Measure, ignoreMemory: boolean, predictor: Predictor): number | string {
  if (measure.startsWith("largest:")) return predictor.largest(choice, measure.slice("largest:".length));
  const outcome = predictor.step(choice, ignoreMemory);
  if (typeof outcome === "string") return outcome;
  const { spec, step } = outcome;
  const devices = spec.cluster.numDevices;
  const model = step.modelFlopsNoncausal / step.stepSec;
  const recomputed = (step.modelFlopsNoncausal + layersForwardFlops(spec)) / step.stepSec;
  switch (measure) {
    case "tokensPerSec":
      return step.tokensPerSec;
    case "tokensPerSecPerDevice":
      return step.tokensPerSecPerDevice;
    case "mfu":
      return step.mfuNoncausal;
    case "hfuRecomputed":
      return (step.mfuNoncausal * recomputed) / model;
    case "modelTflopsPerDevice":
      return model / devices / 1e12;
    case "recomputedTflopsPerDevice":
      return recomputed / devices / 1e12;
    case "modelPflops":
      return model / 1e15;
    case "recomputedPflops":
      return recomputed / 1e15;
    case "activationBytes":
      return step.ranks[step.peakRank]?.memory.activationBytes ?? 0;
    default:
      throw new Error(`No measure is called ${measure}`);
  }
}

/** Forward FLOPs of all layers of a step, whole attention matrix: the model's less the head's. */
function layersForwardFlops(spec: ResolvedSpec): number {
  const { model, workload } = spec;
  const perToken = flopsPerToken(model, { seqLen: workload.seqLen, convention: "noncausal" }) / 3;
  const head = model.hasLmHead ? 2 * embeddingParameters(model) : 0;
  return (perToken - head) * workload.globalBatch * workload.seqLen;
}

/**
 * Whether a prediction says what the paper says: figures within 10 %, gains within a quarter of the gain. A lower bound may be exceeded.
 */
export function reproduces(figure: ComputedFigure, value: number): boolean {
  const allowed = figure.unit === "gain" ? 0.25 : 0.1;
  const error = value / figure.published - 1;
  return figure.claim === "atLeast" ? error >= -allowed : Math.abs(error) <= allowed;
}

/** Everything a figure is computed from. */
export function choicesOf(figure: PublishedFigure): readonly SpecChoice[] {
  if (isPending(figure)) return [];
  return figure.cases.flatMap(({ of, over }) => [of, ...(over === undefined ? [] : [over])].flat());
}

/** The spec files among them. */
export function specsOf(figure: PublishedFigure): readonly string[] {
  return [...new Set(choicesOf(figure).map((choice) => (typeof choice === "string" ? choice : choice.spec)))];
}
