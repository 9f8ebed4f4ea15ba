// One rank's training: resumes or begins, steps, evaluates, saves, samples. All ranks run the same loop and keep the same state of training, so that every
// decision falls alike on all of them; rank 0 tells what happens.

import { assert } from "@meshwright/core";
import { InputError } from "@meshwright/core/units";
import { assembled } from "../../reference/results.ts";
import { type CheckpointFacts, readManifest } from "../checkpoint/manifest.ts";
import { CheckpointReader, restoreShards } from "../checkpoint/restore.ts";
import { CheckpointSaver } from "../checkpoint/saver.ts";
import { requireSharedFolder } from "../checkpoint/sharedFolder.ts";
import { evaluationBatch, TrainingBatches } from "../data/batches.ts";
import { Tokenizer } from "../data/tokenizer.ts";
import { cutWindows, type TokenWindows } from "../data/windows.ts";
import type { RankLink } from "../engine/links.ts";
import { RankEngine, type RankEngineOptions } from "../engine/rankEngine.ts";
import { roundValues } from "../engine/rounding.ts";
import { FaultInjector } from "../faults/injectFaults.ts";
import { gatherToRoot } from "../launch/gather.ts";
import { initialWeights } from "./initialWeights.ts";
import { choiceAt, startState, stateAfter, type TrainState } from "./recipe.ts";
import { CodedSteps, plainSteps, type StepRunner } from "./stepRunner.ts";
import { aloneLink, noGroups, type SampledModel, sampleText } from "./textSampler.ts";
import type { TrainEvent, TrainTask } from "./trainTask.ts";

/** Copies of a parameter on several ranks may differ by rounding in different orders. */
const copyTolerance = 1e-3;

/** @param options of the engine, for the program that this rank runs. @param link to all ranks of the run. */
export function trainRank(
  task: TrainTask,
  of: SampledModel,
  options: RankEngineOptions,
  link: RankLink,
  emit: (event: TrainEvent) => void,
): void {
  const { code, recipe, checkpoint, evaluation, totalSteps } = task;
  const tell = (event: TrainEvent) => {
    if (link.rank === 0) emit(event);
  };
  // A worker of a gradient code runs its program alone.
  const own = code === null ? options : { ...options, rank: 0, link: aloneLink, groups: noGroups };
  const engine = new RankEngine({ ...own, initial: initialWeights(task.seed) });
  const windows = windowsOf(task, of);
  let state = resumed(task, engine, own, tell) ?? startState(recipe);
  const injector = new FaultInjector(task.chaos, link.rank);
  if (checkpoint !== null && code === null) requireSharedFolder(link, checkpoint.root);
  const saver = checkpoint !== null && (code === null || link.rank === 0) ? saverOf(checkpoint, engine) : null;
  const runner: StepRunner =
    code === null
      ? plainSteps(engine)
      : new CodedSteps(engine, code, { link, firstStep: state.step, seqLen: of.seqLen });
  const batches = new TrainingBatches(windows, {
    seed: task.seed,
    globalBatch: runner.sequencesPerStep(task.globalBatch),
    firstStep: state.step,
    sequencesBefore: state.sequencesSeen,
  });
  const tokensPerStep = task.globalBatch * of.seqLen;
  const startMs = performance.now();
  let numCheckpoints = 0;
  while (state.step < totalSteps) {
    const stepMs = performance.now();
    const choice = choiceAt(recipe, state);
    const done = runner.run(state.step, batches.batch(state.step), choice, {
      beforeStep: () => injector.beginStep(state.step + 1),
      beforeAction: (_, index, numActions) => injector.beforeAction(index, numActions),
      afterGradients: () => {
        injector.endActions();
        saver?.settle();
      },
    });
    state = stateAfter(recipe, state, {
      skipped: done.skipped,
      globalBatch: runner.sequencesPerStep(task.globalBatch),
    });
    const isLast = state.step === totalSteps;
    if (saver !== null && checkpoint !== null && (isLast || state.step % checkpoint.everySteps === 0)) {
      saver.begin(factsOf(task, state));
      numCheckpoints++;
      tell({ kind: "saving", step: state.step });
    }
    const durationSec = (performance.now() - stepMs) / 1000;
    tell({
      kind: "trained",
      step: state.step,
      loss: done.loss,
      gradNorm: done.gradNorm,
      learningRate: choice.optimizer.learningRate,
      skipped: done.skipped,
      lossScale: choice.lossScale,
      durationSec,
      tokensPerSec: tokensPerStep / durationSec,
      missing: done.missing,
    });
    if (evaluation !== null && (isLast || state.step % evaluation.everySteps === 0))
      tell({ kind: "evaluated", step: state.step, loss: evaluate(engine, windows, evaluation.numBatches) });
  }
  const trainSec = (performance.now() - startMs) / 1000;
  saver?.finish();
  runner.finish();
  tell({ kind: "finished", step: state.step, trainSec, stallSec: saver?.stallSec ?? 0, numCheckpoints });
  sample(task, of, engine, own, link, tell);
  void saver?.close();
}

function windowsOf({ data }: TrainTask, { model, seqLen }: SampledModel): TokenWindows {
  return cutWindows(new Int32Array(data.tokens), { seqLen, lookAhead: 1 + model.mtpLayers, evalFrac: data.evalFrac });
}

/** Mean loss over batches of the evaluation windows. */
function evaluate(engine: RankEngine, windows: TokenWindows, numBatches: number): number {
  const { globalTokens } = engine.program;
  const batch = globalTokens / windows.seqLen;
  let sum = 0;
  for (let b = 0; b < numBatches; b++) sum += engine.evaluate(evaluationBatch(windows, batch, b));
  return sum / numBatches;
}

function saverOf(checkpoint: NonNullable<TrainTask["checkpoint"]>, engine: RankEngine): CheckpointSaver {
  const { root, keep, timeoutMs } = checkpoint;
  return new CheckpointSaver({
    root,
    keep,
    timeoutMs,
    program: engine.program,
    rank: engine.rank,
    shards: engine.shards(),
  });
}

function factsOf(task: TrainTask, training: TrainState): CheckpointFacts {
  const { optimizer, seed, model, mesh, data } = task;
  return { training, optimizer, seed, model, mesh, data: { fingerprint: data.fingerprint, tokenizer: data.tokenizer } };
}

/** Fills the engine from a checkpoint; null when the training begins. */
function resumed(
  task: TrainTask,
  engine: RankEngine,
  options: RankEngineOptions,
  tell: (event: TrainEvent) => void,
): TrainState | null {
  if (task.resumeFrom === null) return null;
  const manifest = readManifest(task.resumeFrom);
  if (manifest.optimizer !== task.optimizer)
    throw new InputError({
      path: "--resume",
      message: `"${task.resumeFrom}" holds the state of ${manifest.optimizer}, not of ${task.optimizer}`,
      hint: `use --optimizer ${manifest.optimizer}`,
    });
  const shards = engine.shards();
  restoreShards(new CheckpointReader(task.resumeFrom, manifest), engine.mesh, engine.rank, shards);
  if (options.rounds) for (const { values, dtype } of shards) roundValues(values, dtype);
  tell({ kind: "resumed", step: manifest.training.step, folder: task.resumeFrom });
  return manifest.training;
}

/** Brings the parameters to rank 0, which samples. */
function sample(
  task: TrainTask,
  of: SampledModel,
  engine: RankEngine,
  options: RankEngineOptions,
  link: RankLink,
  tell: (event: TrainEvent) => void,
): void {
  if (task.sample === null) return;
  const pieces =
    task.code === null ? gatherToRoot(link, engine.parameters()) : link.rank === 0 ? [engine.parameters()] : null;
  if (pieces === null) return;
  const parameters = assembled(engine.mesh, pieces.flat(), copyTolerance);
  assert(parameters.size > 0, "a model has parameters");
  const tokenizer = new Tokenizer(task.data.tokenizer);
  const { memory, vocab, rounds, kernels } = options;
  const engineOptions = { memory, vocab, rounds, ...(kernels === undefined ? {} : { kernels }) };
  const text = sampleText(of, parameters, tokenizer, task.sample, engineOptions);
  tell({ kind: "sampled", prompt: task.sample.prompt, text });
}
