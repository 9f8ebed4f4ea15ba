// A training that outlives its ranks: when one is lost, the others start again from the last complete checkpoint with fewer data-parallel replicas. The global
// batch and the order of the data stay, so the loss curve stays too.

import type { ResolvedSpec } from "@meshwright/core";
import { InputError } from "@meshwright/core/units";
import { completeCheckpoints, removePartials } from "../checkpoint/folder.ts";
import { chaosLeft } from "../faults/chaos.ts";
import { gradientCode } from "../faults/gradientCodes.ts";
import type { RankJob, RunEvent } from "../launch/rankJob.ts";
import {
  loadTrainingData,
  manifestToResume,
  type PreparedTraining,
  prepareTraining,
  workerSpec,
} from "./prepareTraining.ts";
import type { TrainOptions } from "./trainOptions.ts";

export type SupervisedEvent =
  | RunEvent
  | { readonly kind: "starting"; readonly training: PreparedTraining }
  | {
      readonly kind: "restarting";
      /** What the lost rank said. */
      readonly reason: string;
      /** Last step that was done; the checkpoint's step, or 0. */
      readonly doneSteps: number;
      readonly fromStep: number;
      readonly dp: number;
      /** Time from the failure to the restart. */
      readonly recoverySec: number;
    };

export interface Supervised {
  readonly options: TrainOptions;
  /** The job with so many replicas; null: as the user wrote it. */
  readonly resolve: (dp: number | null) => ResolvedSpec;
  readonly run: (job: RankJob, onEvent: (event: RunEvent) => void) => Promise<void>;
  /** Whether a failure of `run` is a lost rank rather than a fault of the program. */
  readonly isLostRank: (error: unknown) => boolean;
  /** Refuses what this machine cannot hold. */
  readonly check: (training: PreparedTraining) => void;
  readonly exact: boolean;
  /** All ranks are threads of this process. */
  readonly sharesMemory: boolean;
  /** Of ranks that are each a command of their own, the one that clears the folder of checkpoints and tells what happens; true where one command has all ranks. */
  readonly leads: boolean;
  readonly onEvent: (event: SupervisedEvent) => void;
}

export async function superviseTraining(supervised: Supervised): Promise<void> {
  const { options, run, onEvent, exact } = supervised;
  const root = options.checkpoint?.root ?? null;
  let spec = supervised.resolve(null);
  let from = manifestToResume(options.resume);
  const data = loadTrainingData(options, spec.model.vocab, from?.manifest ?? null);
  let chaos: PreparedTraining["task"]["chaos"] | null = null;
  let numRanks = Number.POSITIVE_INFINITY;
  for (let attempt = 0; ; attempt++) {
    // Nobody writes now: what is partial was left by a run that ended.
    if (root !== null && supervised.leads) removePartials(root);
    const training = prepareTraining(spec, options, data, from, { chaos, sharesMemory: supervised.sharesMemory });
    supervised.check(training);
    numRanks = training.numRanks;
    onEvent({ kind: "starting", training });
    let doneSteps = from?.manifest.training.step ?? 0;
    const job: RankJob = {
      spec: training.run.spec,
      rounds: !exact,
      arenaBytes: training.run.arenaBytes,
      task: training.task,
    };
    try {
      await run(job, (event) => {
        if (event.kind === "trained") doneSteps = event.step;
        onEvent(event);
      });
      return;
    } catch (error) {
      if (root === null || attempt >= options.restarts || !supervised.isLostRank(error)) throw error;
      const failedMs = performance.now();
      const dp = fewerReplicas(supervised, spec, numRanks - 1);
      if (dp === null) throw error;
      spec = supervised.resolve(dp);
      const newest = completeCheckpoints(root).at(-1);
      from = manifestToResume(newest?.folder ?? options.resume);
      const left = chaosLeft(training.task.chaos, doneSteps + 1, numRanks - 1);
      chaos = left;
      onEvent({
        kind: "restarting",
        reason: error instanceof Error ? error.message : String(error),
        doneSteps,
        fromStep: from?.manifest.training.step ?? 0,
        dp,
        recoverySec: (performance.now() - failedMs) / 1000,
      });
    }
  }
}

/** The largest number of replicas that the remaining ranks can run; null: none. */
function fewerReplicas(supervised: Supervised, spec: ResolvedSpec, ranksLeft: number): number | null {
  const { tp, cp, pp } = spec.strategy;
  for (let dp = Math.min(spec.strategy.dp - 1, Math.floor(ranksLeft / (tp * cp * pp))); dp >= 1; dp--) {
    try {
      const fewer = supervised.resolve(dp);
      if (supervised.options.code !== null) workerSpec(fewer, gradientCode(supervised.options.code, dp));
      return dp;
    } catch (error) {
      // A dp that does not divide the batch, the experts or the code's groups: the next smaller one may.
      if (!(error instanceof InputError)) throw error;
    }
  }
  return null;
}
