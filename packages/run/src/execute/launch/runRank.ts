// One rank's part of a run, whatever carries its messages: lowers the program, makes its engine, does its task. Rank 0 tells what happens.

import { lowerTraining, type Program } from "@meshwright/core";
import { hashedTokens } from "../../reference/data.ts";
import { firstStep } from "../../reference/kernels/optimizer.ts";
import type { Kernels } from "../../reference/kernels/plain.ts";
import type { MatMemory } from "../../reference/matMemory.ts";
import { initialValue } from "../../reference/slices.ts";
import type { GroupsOf, RankLink } from "../engine/links.ts";
import { RankEngine, type RankEngineOptions } from "../engine/rankEngine.ts";
import type { RankSpans } from "../engine/spanRecorder.ts";
import { OpTotals, opSeconds } from "../measure/opTotals.ts";
import { meetingsOf } from "../measure/waits.ts";
import { choiceAt, initialLossScale, type Recipe, startState, stateAfter } from "../train/recipe.ts";
import { trainRank } from "../train/trainRank.ts";
import { verdictOf } from "../verify/verdict.ts";
import { verifyRank } from "../verify/verifyRank.ts";
import { gatherToRoot } from "./gather.ts";
import type { RankJob, RankMeasures, RunEvent, RunSpec } from "./rankJob.ts";
import { warmUp } from "./warmUp.ts";

export interface RankContext {
  readonly link: RankLink;
  readonly groups: GroupsOf;
  readonly memory: MatMemory;
  readonly kernels: Kernels;
  /** On rank 0: where events go. */
  readonly emit: (event: RunEvent) => void;
}

export function programOf({ model, strategy, workload, software }: RunSpec): Program {
  return lowerTraining(model, strategy, workload, software);
}

/** Rows of the token table with the padding that the software adds. */
export function paddedVocab(program: Program): number {
  for (const block of program.blocks)
    for (const decl of block.buffers)
      if (decl.param?.name === "embedding.table") return decl.param.segments.reduce((sum, { rows }) => sum + rows, 0);
  throw new Error("Meshwright bug: a program has a token table");
}

export function runRank(job: RankJob, context: RankContext): void {
  const { link, groups, memory, kernels } = context;
  const program = programOf(job.spec);
  const options: RankEngineOptions = {
    program,
    rank: link.rank,
    link,
    groups,
    memory,
    kernels,
    vocab: paddedVocab(program),
    initial: initialValue,
    rounds: job.rounds,
    poison: false,
    recordsSpans: false,
  };
  switch (job.task.kind) {
    case "verify":
      return verify(job, options, context);
    case "steps":
      return runSteps(job.task, job.spec.strategy.precision, options, context);
    case "train":
      return trainRank(job.task, { ...job.spec, seqLen: job.spec.workload.seqLen }, options, link, context.emit);
    default:
      job.task satisfies never;
  }
}

function verify({ spec }: RankJob, options: RankEngineOptions, { link, emit }: RankContext): void {
  const engine = new RankEngine({ ...options, rounds: false, poison: true });
  const request = {
    // Padding rows are rows like others in the proof.
    model: { ...spec.model, vocab: options.vocab },
    seqLen: spec.workload.seqLen,
    globalBatch: spec.workload.globalBatch,
    routing: spec.strategy.routing,
  };
  const verification = verifyRank(engine, link, request);
  if (verification !== null) emit({ kind: "verified", verdict: verdictOf(verification, spec) });
}

/** Steps whose ops are compared: medians over them. */
const keptSteps = 32;

function runSteps(
  task: Extract<RankJob["task"], { readonly kind: "steps" }>,
  precision: string,
  options: RankEngineOptions,
  { link, groups, emit }: RankContext,
): void {
  const engine = new RankEngine({ ...options, recordsSpans: task.measure });
  const { learningRate: peak, weightDecay, beta1, beta2, epsilon, momentum } = firstStep;
  const recipe: Recipe = {
    rate: { kind: "constant", peak, warmupSteps: 0, totalSteps: task.numSteps, finalFrac: 1, decayFrac: 0 },
    weightDecay,
    beta1,
    beta2,
    epsilon,
    momentum,
    clipNorm: null,
    initialLossScale: initialLossScale(precision),
  };
  let state = startState(recipe);
  const totals = new OpTotals(keptSteps);
  const meetings: RankSpans[] = [];
  const hostSec: number[] = [];
  const stepSec: number[] = [];
  let last: ReturnType<RankEngine["step"]> | null = null;
  const tokens = hashedTokens(options.vocab);
  const runStep = () => {
    const result = engine.step(tokens, choiceAt(recipe, state));
    state = stateAfter(recipe, state, { skipped: result.skipped, globalBatch: 0 });
    return result;
  };
  warmUp(runStep, task.warmUpSec ?? 0, link, groups);
  for (let step = 1; step <= task.numSteps; step++) {
    last = runStep();
    const { loss, gradNorm, skipped, durationSec } = last;
    stepSec.push(durationSec);
    if (last.spans !== null) {
      totals.add(last.spans);
      hostSec.push(durationSec - opSeconds(last.spans));
      meetings.push(meetingsOf(last.spans));
      if (meetings.length > keptSteps) meetings.shift();
    }
    if (link.rank === 0) emit({ kind: "step", step, loss, gradNorm, skipped, durationSec });
  }
  if (!task.measure || last?.spans == null) return;
  const measures: RankMeasures = {
    rank: link.rank,
    pipelineRank: engine.pipelineRank,
    stepSec,
    hostSec,
    ops: totals.totals(),
    meetings,
    sentBytes: [...last.traffic.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0),
    peakBytes: last.memory.peakBytes,
    hostPeakBytes: last.memory.hostPeakBytes,
    spans: last.spans,
  };
  const ranks = gatherToRoot(link, measures);
  if (ranks !== null) emit({ kind: "measured", ranks });
}
