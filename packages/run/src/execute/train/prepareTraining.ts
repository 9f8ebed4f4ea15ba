// From a resolved spec and a training's options to what the ranks are told: corpus, tokenizer, recipe, the checkpoint to go on from, and the program of each
// rank. Whatever is wrong with the input is found here, before a rank starts.

import { type Program, parameterUpdates, type ResolvedSpec } from "@meshwright/core";
import { type Finding, InputError } from "@meshwright/core/units";
import { resolveCheckpoint } from "../checkpoint/folder.ts";
import { globalTensors } from "../checkpoint/layout.ts";
import { type Manifest, readManifest } from "../checkpoint/manifest.ts";
import { type Corpus, ownDocs, readCorpus } from "../data/corpus.ts";
import { learnTokenizer, parseTokenizer, Tokenizer, type TokenizerSpec } from "../data/tokenizer.ts";
import { cutWindows } from "../data/windows.ts";
import { type Chaos, parseChaos } from "../faults/chaos.ts";
import { makeBoardMemory } from "../faults/codeBoard.ts";
import { type GradientCode, gradientCode } from "../faults/gradientCodes.ts";
import { arenaBytes } from "../launch/memoryNeed.ts";
import { type PreparedRun, prepareRun } from "../launch/prepare.ts";
import { initialLossScale, optimizerDefaults, type Recipe } from "./recipe.ts";
import { samplingProgram } from "./textSampler.ts";
import type { TrainOptions } from "./trainOptions.ts";
import type { CodeTask, TrainTask } from "./trainTask.ts";

export interface PreparedTraining {
  /** Of each rank; with a gradient code the program of one worker. */
  readonly run: PreparedRun;
  readonly numRanks: number;
  readonly task: TrainTask;
  readonly corpus: { readonly source: string; readonly numTokens: number; readonly sizeBytes: number };
  readonly tokenizer: TokenizerSpec;
  readonly notes: readonly string[];
}

/** What stays the same when a run starts again on another mesh. */
export interface TrainingData {
  readonly corpus: Corpus;
  readonly tokenizer: TokenizerSpec;
  readonly tokens: SharedArrayBuffer;
  readonly numTokens: number;
}

/** Reads the corpus and turns it into tokens. @param vocab rows of the model's token table. */
export function loadTrainingData(options: TrainOptions, vocab: number, resumed: Manifest | null): TrainingData {
  const path = options.data.path ?? ownDocs();
  if (path === undefined)
    throw new InputError({
      path: "--data",
      message: "The documentation is not installed here",
      hint: "give a folder of text",
    });
  const corpus = readCorpus(path);
  const tokenizer = tokenizerOf(options, corpus, vocab, resumed);
  const ids = new Tokenizer(tokenizer).encodeCorpus(corpus);
  const tokens = new SharedArrayBuffer(ids.byteLength);
  new Int32Array(tokens).set(ids);
  return { corpus, tokenizer, tokens, numTokens: ids.length };
}

function tokenizerOf({ data }: TrainOptions, corpus: Corpus, vocab: number, resumed: Manifest | null): TokenizerSpec {
  if (resumed === null) return learnTokenizer(corpus, parseTokenizer(data.tokens ?? "byte", vocab));
  const { tokenizer } = resumed.data;
  if (data.tokens !== null && !data.tokens.startsWith(tokenizer.kind))
    throw new InputError({
      path: "--tokens",
      message: `The checkpoint's tokens are ${tokenizer.kind}, not ${data.tokens}`,
      hint: "leave --tokens out",
    });
  return tokenizer;
}

/** The manifest that a training goes on from. */
export function manifestToResume(
  resume: string | null,
): { readonly folder: string; readonly manifest: Manifest } | null {
  if (resume === null) return null;
  const folder = resolveCheckpoint(resume);
  return { folder, manifest: readManifest(folder) };
}

export function prepareTraining(
  resolved: ResolvedSpec,
  options: TrainOptions,
  data: TrainingData,
  from: { readonly folder: string; readonly manifest: Manifest } | null,
  at: { readonly chaos: readonly Chaos[] | null; readonly sharesMemory: boolean },
): PreparedTraining {
  const { chaos, sharesMemory } = at;
  const { strategy, workload, model } = resolved;
  const code = options.code === null ? null : gradientCode(options.code, strategy.dp);
  const run = prepareRun(code === null ? resolved : workerSpec(resolved, code));
  const numRanks = code === null ? run.arenaBytes.length : code.numWorkers;
  const notes: string[] = [];
  refuseUnfit(resolved, options, run.program, from?.manifest ?? null);
  cutWindows(new Int32Array(data.tokens), {
    seqLen: workload.seqLen,
    lookAhead: 1 + model.mtpLayers,
    evalFrac: options.data.evalFrac,
  });
  if (from !== null && from.manifest.data.fingerprint !== data.corpus.fingerprint)
    notes.push(`The text is not the one the checkpoint was trained on: the order of its sequences begins anew`);
  const task: TrainTask = {
    kind: "train",
    totalSteps: options.totalSteps,
    seed: options.seed ?? from?.manifest.seed ?? 1,
    recipe: recipeOf(options, strategy.optimizer, strategy.precision),
    optimizer: strategy.optimizer,
    data: {
      tokens: data.tokens,
      tokenizer: data.tokenizer,
      fingerprint: data.corpus.fingerprint,
      evalFrac: options.data.evalFrac,
    },
    globalBatch: workload.globalBatch,
    evaluation: options.evaluation,
    checkpoint: options.checkpoint === null ? null : { ...options.checkpoint, timeoutMs: options.timeoutMs },
    resumeFrom: from?.folder ?? null,
    chaos: chaos ?? parseChaos(options.chaos, numRanks),
    code: code === null ? null : codeTask(code, run.program, options.timeoutMs, sharesMemory),
    sample: options.sample === null ? null : { ...options.sample, seed: options.seed ?? from?.manifest.seed ?? 1 },
    model: model.name,
    mesh: meshText(resolved),
  };
  const arenas = code === null ? [...run.arenaBytes] : Array.from({ length: numRanks }, () => run.arenaBytes[0]!);
  if (task.sample !== null) {
    const { spec } = run;
    arenas[0]! += arenaBytes(samplingProgram({ ...spec, seqLen: spec.workload.seqLen }))[0]!;
  }
  return {
    run: { ...run, arenaBytes: arenas },
    numRanks,
    task,
    corpus: { source: data.corpus.source, numTokens: data.numTokens, sizeBytes: data.corpus.sizeBytes },
    tokenizer: data.tokenizer,
    notes,
  };
}

function recipeOf(options: TrainOptions, optimizer: ResolvedSpec["strategy"]["optimizer"], precision: string): Recipe {
  const usual = optimizerDefaults[optimizer];
  const { rate } = options;
  return {
    rate: { ...rate, peak: rate.peak ?? usual.peak, totalSteps: options.totalSteps },
    weightDecay: options.weightDecay ?? usual.weightDecay,
    beta1: options.beta1 ?? usual.beta1,
    beta2: options.beta2 ?? usual.beta2,
    epsilon: usual.epsilon,
    momentum: options.momentum ?? usual.momentum,
    clipNorm: options.clipNorm,
    initialLossScale: initialLossScale(precision),
  };
}

function refuseUnfit(
  { strategy }: ResolvedSpec,
  options: TrainOptions,
  program: Program,
  manifest: Manifest | null,
): void {
  const findings: Finding[] = [];
  if (options.momentum !== null && strategy.optimizer !== "muon")
    findings.push({
      path: "--momentum",
      message: `Decays Muon's momentum, and the optimizer is ${strategy.optimizer}`,
      hint: strategy.optimizer === "sgd" ? "use --beta1" : "leave it out",
    });
  if (
    options.restarts > 0 &&
    options.chaos.length > 0 &&
    options.checkpoint === null &&
    options.chaos.some((text) => /kill|hang/.test(text))
  )
    findings.push({
      path: "--chaos",
      message: "A run that loses a rank goes on from a checkpoint, and none is written",
      hint: "give --checkpoint DIR, or --restarts 0 to see it fail",
    });
  if (manifest !== null) findings.push(...differences(program, manifest, strategy.optimizer, options.totalSteps));
  if (findings.length > 0) throw new InputError(findings);
}

/** Why a program cannot go on from a checkpoint. */
function differences(program: Program, manifest: Manifest, optimizer: string, totalSteps: number): Finding[] {
  const path = "--resume";
  if (manifest.optimizer !== optimizer)
    return [
      {
        path,
        message: `The checkpoint holds the state of ${manifest.optimizer}, not of ${optimizer}`,
        hint: `use --optimizer ${manifest.optimizer}`,
      },
    ];
  const findings: Finding[] = [];
  for (const [key, shape] of globalTensors(program)) {
    const there = manifest.tensors[key]?.shape.join(" x ");
    if (there === shape.join(" x ")) continue;
    findings.push({
      path,
      message:
        there === undefined
          ? `The checkpoint holds no ${key}`
          : `${key} is ${there} there and ${shape.join(" x ")} here`,
      hint: "resume with the model that wrote it",
    });
    if (findings.length === 5) break;
  }
  if (manifest.training.step >= totalSteps)
    findings.push({
      path: "--steps",
      message: `The checkpoint is of step ${manifest.training.step}, and the training ends at step ${totalSteps}`,
      hint: "steps count from the beginning of the training: ask for more",
    });
  return findings;
}

/** The spec of one worker's program: its parts of the batch, nothing split. */
export function workerSpec(resolved: ResolvedSpec, code: GradientCode): ResolvedSpec {
  const { strategy, workload } = resolved;
  const findings: Finding[] = [];
  const path = code.kind === "backup" ? "--backup-workers" : "--gradient-code";
  const { tp, cp, pp, ep, sharding, microBatch } = strategy;
  if (tp * cp * pp * ep !== 1 || sharding !== "none")
    findings.push({
      path,
      message: "Workers of a gradient code hold the whole model",
      hint: "use dp alone, with --sharding none",
    });
  const { partsPerBatch } = code;
  const perPart = workload.globalBatch / partsPerBatch;
  if (!Number.isInteger(perPart) || perPart % microBatch !== 0)
    findings.push({
      path: "workload.global_batch",
      message: `A batch of ${workload.globalBatch} does not make ${partsPerBatch} parts of whole micro-batches of ${microBatch}`,
      hint: `use a multiple of ${partsPerBatch * microBatch}`,
    });
  if (findings.length > 0) throw new InputError(findings);
  const globalBatch = perPart * code.partsOf[0]!.length;
  return { ...resolved, strategy: { ...strategy, dp: 1 }, workload: { ...workload, globalBatch } };
}

function codeTask(code: GradientCode, program: Program, timeoutMs: number, sharesMemory: boolean): CodeTask {
  const { kind, stragglers, numWorkers } = code;
  return {
    spec: { kind, stragglers },
    numWorkers,
    board: sharesMemory ? makeBoardMemory(numWorkers, gradientElements(program)) : null,
    timeoutMs,
  };
}

/** What a worker hands in: all gradients of a program of one rank. */
function gradientElements({ stages, blocks }: Program): number {
  let sum = 0;
  for (const { uses } of stages)
    for (const { block } of uses)
      for (const { grad } of parameterUpdates(blocks[block]!))
        sum += blocks[block]!.buffers[grad]!.shape.reduce((product, n) => product * n, 1);
  return sum;
}

function meshText({ strategy }: ResolvedSpec): string {
  const { tp, cp, ep, dp, pp, sharding } = strategy;
  const axes = Object.entries({ tp, cp, ep, dp, pp }).filter(([, size]) => size > 1);
  const text = axes.map(([axis, size]) => `${axis}=${size}`).join(", ");
  return `${text === "" ? "one rank" : text}${sharding === "none" ? "" : `, ${sharding}`}`;
}
