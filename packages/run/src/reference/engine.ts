// The reference engine: runs one step of a program, all ranks in lock step in one process, in f64.
//
// Pipeline ranks follow their action lists (actions.ts); an action runs once its inputs have arrived. Within an action the ranks of a pipeline rank
// (tp x cp x dp, its lanes) run block use by block use, op by op. Bytes are counted in the declared formats.
// After the last action: replicas of bidirectional schedules add their gradients, gradients are reduced, tied embeddings synchronised, the norm of all
// gradients summed, parameters updated, updated shards gathered.

import { assert, coordinatesOf, decodeAction, meshSize, type Program, replicaPrograms } from "@meshwright/core";
import { type ActionRecord, ActionRunner } from "./actions.ts";
import { lockStepExchanges } from "./collectives.ts";
import { hashedTokens } from "./data.ts";
import { type EngineParts, eachPlace, engineParts, placesOf, runPhase } from "./engineParts.ts";
import type { Run } from "./frame.ts";
import { initialiseParameters } from "./initialise.ts";
import { firstStep } from "./kernels/optimizer.ts";
import { plainKernels } from "./kernels/plain.ts";
import { LockStepMail } from "./lockStepMail.ts";
import { assembled, gradientPieces, parameterPieces } from "./results.ts";
import { addReplicas, gradientNorm, syncEmbedding, updateParameters } from "./stepEnd.ts";
import { RankStore } from "./store.ts";
import { TrafficBook } from "./traffic.ts";

export interface StepOutcome {
  readonly loss: number;
  /** By global parameter name, row-major, averaged as the loss is. */
  readonly gradients: ReadonlyMap<string, Float64Array>;
  /** Parameters after the optimizer step. */
  readonly updated: ReadonlyMap<string, Float64Array>;
  /** Global sum of squares of the gradient, as the program computes it. */
  readonly gradNormSquared: number;
  readonly traffic: TrafficBook;
  /** Per rank: bytes in HBM before the step, at its peak, and after. */
  readonly memory: readonly { readonly startBytes: number; readonly peakBytes: number; readonly endBytes: number }[];
  readonly actions: readonly ActionRecord[];
}

/** Relative difference of copies of one element on several ranks that f64 sums in different orders explain. */
const copyTolerance = 1e-9;

export function runStep(program: Program, options: { readonly vocab: number }): StepOutcome {
  const { mesh } = program;
  const state: Run = {
    mesh,
    stores: Array.from({ length: meshSize(mesh) }, (_, rank) => new RankStore(mesh, rank)),
    exchanges: lockStepExchanges,
    traffic: new TrafficBook(),
    vocab: options.vocab,
    tokens: hashedTokens(options.vocab),
    globalTokens: program.globalTokens,
    replicaShares: program.replicaShares,
    kernels: plainKernels,
    optimizer: firstStep,
    lossScale: 1,
    microBatchWeights: null,
    loss: 0,
    routings: new WeakMap(),
    tokenCache: new WeakMap(),
    freshSums: null,
    watch: null,
  };
  const { stores } = state;
  const parts = engineParts(program, state, () => true);
  for (const { rank, places } of placesOf(parts)) initialiseParameters(stores[rank]!, mesh, rank, places);
  const startBytes = stores.map((store) => store.heldBytes.hbm);
  const mail = new LockStepMail(program.scatteredSends);
  const runner = new ActionRunner(parts, mail);
  for (const { program: own, replicas } of replicaPrograms(program)) {
    const mine = (rank: number) => replicas.includes(coordinatesOf(mesh, rank).dp);
    runActions(runner, { ...parts, program: own, lanes: parts.lanes.map((ranks) => ranks.filter(mine)) });
  }
  addReplicas(parts);
  if (program.reducePolicy === "lastMicroBatch") eachPlace(parts, (frame, block) => runPhase(frame, block.reduce));
  syncEmbedding(parts);
  const gradients = assembled(mesh, gradientPieces(parts), copyTolerance);
  const gradNormSquared = gradientNorm(parts);
  updateParameters(parts);
  if (program.gatherPolicy === "afterUpdate") eachPlace(parts, (frame, block) => runPhase(frame, block.gather));
  for (const store of stores)
    assert(store.leftovers().length === 0, `rank ${store.rank} frees everything: ${store.leftovers().join(", ")}`);
  assert(mail.leftovers().length === 0, `every tensor handed over is taken: ${mail.leftovers().join(", ")}`);
  return {
    loss: state.loss,
    gradients,
    updated: assembled(mesh, parameterPieces(parts), copyTolerance),
    gradNormSquared,
    traffic: state.traffic,
    memory: stores.map((store, rank) => ({
      startBytes: startBytes[rank]!,
      peakBytes: store.peakBytes,
      endBytes: store.heldBytes.hbm,
    })),
    actions: runner.records,
  };
}

/** Every pipeline rank goes on as far as what has arrived lets it, in turn. */
function runActions(runner: ActionRunner, running: EngineParts): void {
  const { schedule } = running.program;
  const cursor = schedule.actions.map(() => 0);
  for (let moved = true; moved; ) {
    moved = false;
    for (let p = 0; p < schedule.numRanks; p++) {
      const codes = schedule.actions[p]!;
      while (cursor[p]! < codes.length) {
        const action = decodeAction(codes[cursor[p]!]!);
        if (!runner.ready(p, action)) break;
        runner.runAction(running, p, action);
        cursor[p]!++;
        moved = true;
      }
    }
  }
  for (const [p, at] of cursor.entries())
    assert(at === schedule.actions[p]!.length, `pipeline rank ${p} finishes its actions`);
}
