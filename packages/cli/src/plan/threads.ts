// A search on all processor cores: the hands of a crew (core/plan), so the answer is the same for any number of threads.
//
// A search begins in this thread: many end before others would have started, compiled and made tables of their own. After that threads join it. This one
// searches in slices, so that it hears of answers and of Ctrl-C between them: what is found until then is the answer, marked as not proven. A second one ends
// the command.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import {
  type CoreAnswer,
  finish,
  type Hand,
  type Objective,
  type PlanJob,
  type PlanRequest,
  type PlanSearch,
  RoundedSearch,
  type SearchProgress,
  searchWithCrew,
  taskSteps,
} from "@meshwright/core/plan";
import type { JobSpec } from "@meshwright/core/spec";
import { formatSeconds } from "@meshwright/core/units";
import type { Io } from "../io.ts";

export interface WorkerData {
  readonly job: JobSpec;
  readonly request: PlanRequest;
  readonly numProven: number;
  /** [0]: 1 when the search is to stop. */
  readonly stop: Int32Array;
}

export interface ThreadsRequest {
  readonly space: PlanJob;
  readonly objective: Objective;
  readonly numProven: number;
  readonly workers: number | undefined;
  readonly shard?: { readonly index: number; readonly count: number };
}

/** Over the number of threads: how long the search runs here alone. On few cores a new thread's compiler takes time from this one. */
const ALONE_MS = 16_000;

/** How long this thread searches before it looks up. */
const SLICE_MS = 20;

export async function searchOnThreads(
  given: { readonly job: JobSpec; readonly request: PlanRequest },
  at: ThreadsRequest,
  io: Io,
): Promise<PlanSearch> {
  const startMs = performance.now();
  const { space, objective, numProven } = at;
  const search = new RoundedSearch(space, objective, {
    numProven,
    ...(at.shard === undefined ? {} : { shard: at.shard }),
  });
  const steps = taskSteps(space, objective, numProven);
  const numWorkers = Math.min(at.workers ?? availableParallelism(), search.cores.length);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const stopped = () => Atomics.load(stop, 0) === 1;
  const onInterrupt = () => {
    if (Atomics.exchange(stop, 0, 1) === 1) process.exit(130);
  };
  process.on("SIGINT", onInterrupt);
  const workers: Worker[] = [];
  let hands: readonly Hand[] = [(task) => inSlices(steps(task, stopped))];
  const crew = () => {
    if (hands.length < numWorkers && performance.now() - startMs > ALONE_MS / numWorkers) {
      const workerData: WorkerData = { ...given, numProven, stop };
      for (let i = hands.length; i < numWorkers; i++)
        workers.push(new Worker(new URL("./worker.js", import.meta.url), { workerData }));
      hands = [...hands, ...workers.map(handOn)];
    }
    return hands;
  };
  try {
    return await searchWithCrew(search, {
      crew,
      close: (task) => finish(steps(task, () => true)),
      stopped,
      onAnswer: () => io.progress(progressText(search.progress())),
    });
  } finally {
    process.off("SIGINT", onInterrupt);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function progressText({ numDone, numCores, best }: SearchProgress): string {
  const found = best === null ? "nothing that fits yet" : `best ${formatSeconds(best.brief.stepSec)} a step`;
  return `searching: ${numDone} of ${numCores} kernels (tp, cp, ep, micro-batch), ${found}`;
}

/** This thread, with the event loop between slices. */
async function inSlices<Result>(steps: Generator<void, Result>): Promise<Result> {
  let untilMs = performance.now() + SLICE_MS;
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
    if (performance.now() < untilMs) continue;
    await new Promise((next) => setImmediate(next));
    untilMs = performance.now() + SLICE_MS;
  }
}

/** A thread that answers one task after the other. */
function handOn(worker: Worker): Hand {
  return (task) =>
    new Promise((done, fail) => {
      const onMessage = (answer: CoreAnswer) => {
        worker.off("error", onError);
        done(answer);
      };
      const onError = (error: Error) => {
        worker.off("message", onMessage);
        fail(error);
      };
      worker.once("message", onMessage);
      worker.once("error", onError);
      worker.postMessage(task);
    });
}
