// How a step is run: by all ranks together, or by workers of a gradient code, each with a program of its own that computes a part of the batch.

import { coordinatesOf } from "@meshwright/core";
import type { StepTokens } from "../data/batches.ts";
import type { RankLink } from "../engine/links.ts";
import type { RankEngine } from "../engine/rankEngine.ts";
import { type Board, CodeBoard, type CodeResult } from "../faults/codeBoard.ts";
import { type GradientCode, gradientCode } from "../faults/gradientCodes.ts";
import { RemoteBoard } from "../faults/remote/remoteBoard.ts";
import type { StepChoice } from "./recipe.ts";
import type { CodeTask } from "./trainTask.ts";

export interface StepPoints {
  beforeStep(): void;
  beforeAction(engine: RankEngine, index: number, numActions: number): void;
  afterGradients(): void;
}

export interface StepDone {
  readonly loss: number;
  readonly gradNorm: number;
  readonly skipped: boolean;
  readonly missing: readonly number[];
}

export interface StepRunner {
  /** @param step 0-based. */
  run(step: number, tokens: StepTokens, choice: StepChoice, points: StepPoints): StepDone;
  /** Sequences of the data that a step uses up, for a batch of so many. */
  sequencesPerStep(globalBatch: number): number;
  /** After the last step, on every rank. */
  finish(): void;
}

function numActionsOf({ program, mesh, rank }: RankEngine): number {
  return program.schedule.actions[coordinatesOf(mesh, rank).pp]!.length;
}

export function plainSteps(engine: RankEngine): StepRunner {
  const numActions = numActionsOf(engine);
  return {
    run: (_, tokens, choice, points) => {
      const { loss, gradNorm, skipped } = engine.step(tokens, choice, {
        beforeStep: () => points.beforeStep(),
        beforeAction: (_, index) => {
          points.beforeAction(engine, index, numActions);
          return undefined;
        },
        afterGradients: () => points.afterGradients(),
      });
      return { loss, gradNorm, skipped, missing: [] };
    },
    sequencesPerStep: (globalBatch) => globalBatch,
    finish: () => {},
  };
}

/** A worker's program holds the parts it computes, one after another, and weighs them micro-batch by micro-batch. */
export class CodedSteps implements StepRunner {
  private readonly engine: RankEngine;
  private readonly code: GradientCode;
  private readonly board: Board;
  private readonly worker: number;
  private readonly views: readonly Float32Array[];
  private readonly sequencesPerPart: number;
  private readonly weights: readonly number[];

  constructor(
    engine: RankEngine,
    task: CodeTask,
    of: { readonly link: RankLink; readonly firstStep: number; readonly seqLen: number },
  ) {
    const { link, firstStep, seqLen } = of;
    const worker = link.rank;
    const { spec, numWorkers, board, timeoutMs } = task;
    this.engine = engine;
    this.worker = worker;
    this.code = gradientCode(spec, numWorkers);
    this.views = engine.gradientViews();
    const gradientElements = this.views.reduce((sum, view) => sum + view.length, 0);
    if (board === null)
      this.board = new RemoteBoard(link, { spec, gradientElements, firstStep: firstStep + 1, timeoutMs });
    else {
      const shared = new CodeBoard(board, { code: this.code, worker, gradientElements, timeoutMs });
      shared.startAt(firstStep + 1);
      this.board = shared;
    }
    const { microBatchesPerStep } = engine.program;
    const numOwnParts = this.code.partsOf[worker]!.length;
    const microBatchesPerPart = microBatchesPerStep / numOwnParts;
    this.sequencesPerPart = engine.program.globalTokens / seqLen / numOwnParts;
    // The program's loss is the mean over the parts it holds; the batch's is the mean over all parts.
    this.weights = Array.from(
      { length: microBatchesPerStep },
      (_, m) =>
        (this.code.weightsOf[worker]![Math.floor(m / microBatchesPerPart)]! * numOwnParts) / this.code.partsPerBatch,
    );
  }

  sequencesPerStep(globalBatch: number): number {
    return (globalBatch / this.code.partsPerBatch) * this.code.numParts;
  }

  finish(): void {
    this.board.finish();
  }

  run(step: number, tokens: StepTokens, choice: StepChoice, points: StepPoints): StepDone {
    const parts = this.code.partsOf[this.worker]!;
    const perPart = this.sequencesPerPart;
    const own: StepTokens = {
      id: (sequence, position) =>
        tokens.id(parts[Math.floor(sequence / perPart)]! * perPart + (sequence % perPart), position),
    };
    const numActions = numActionsOf(this.engine);
    let stopped = false;
    let taken: CodeResult | null = null;
    const { gradNorm, skipped } = this.engine.step(
      own,
      { ...choice, microBatchWeights: this.weights },
      {
        beforeStep: () => points.beforeStep(),
        beforeAction: (engine, index) => {
          points.beforeAction(engine, index, numActions);
          stopped = this.board.isDecided(step + 1);
          return stopped ? "stop" : undefined;
        },
        afterGradients: (engine) => {
          points.afterGradients();
          if (!stopped) this.board.handIn(step + 1, engine.ownLoss, this.views);
          taken = this.board.take(step + 1, this.views);
        },
      },
    );
    const { loss, missing } = taken as unknown as CodeResult; // set by afterGradients
    return { loss, gradNorm, skipped, missing };
  }
}
