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
  | "largest:workload.global_batch"
  | "largest:workload.seq";

export interface PublishedFigure {
  readonly what: string;
  readonly where: string;
  readonly published: number;
  /** How it is printed: `%` (of 1), `x` (a ratio), `gain` (a ratio less 1, in per cent), or a unit. */
  readonly unit: string;
  /** What the paper says of it: this much, at least this, up to this. */
  readonly claim?: "equal" | "atLeast" | "upTo";
  readonly measure?: Measure;
  readonly cases?: readonly FigureCase[];
  /** Of several cases: the largest (default) or the smallest. */
  readonly take?: "max" | "min";
  /** Set-ups that the paper ran although our memory says no are predicted all the same. */
  readonly ignoreMemory?: boolean;
  /** Why ours differs, or what the product cannot express yet. */
  readonly why?: string;
}

export interface Paper {
  readonly id: string;
  readonly title: string;
  readonly citation: string;
  /** Where the set-up is from and what it leaves open. */
  readonly setup: string;
  readonly figures: readonly PublishedFigure[];
}

export interface PublishedFile {
  readonly about: string;
  readonly papers: readonly Paper[];
}

export type Reading =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "none"; readonly reason: string };

/** The figure as we predict it; `none` with the reason when nothing was computed. */
export function readFigure(figure: PublishedFigure, predictor: Predictor): Reading {
  const { measure, cases } = figure;
  if (measure === undefined || cases === undefined) return { kind: "none", reason: figure.why ?? "" };
  const values: number[] = [];
  for (const each of cases) {
    const top = best(each.of, measure, figure, predictor);
    if (typeof top === "string") return { kind: "none", reason: top };
    const bottom = each.over === undefined ? 1 : best(each.over, measure, figure, predictor);
    if (typeof bottom === "string") return { kind: "none", reason: bottom };
    values.push(top / bottom);
  }
  const value = figure.take === "min" ? Math.min(...values) : Math.max(...values);
  return { kind: "value", value: figure.unit === "gain" ? value - 1 : value };
}

function best(
  choices: SpecChoice | readonly SpecChoice[],
  measure: Measure,
  figure: PublishedFigure,
  predictor: Predictor,
): number | string {
  const list: readonly SpecChoice[] = isList(choices) ? choices : [choices];
  let reason = "";
  let found: number | undefined;
  for (const choice of list) {
    const value = measured(choice, measure, figure.ignoreMemory === true, predictor);
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
export function reproduces(figure: PublishedFigure, value: number): boolean {
  const allowed = figure.unit === "gain" ? 0.25 : 0.1;
  const error = value / figure.published - 1;
  return figure.claim === "atLeast" ? error >= -allowed : Math.abs(error) <= allowed;
}
