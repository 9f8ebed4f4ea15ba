// A search on all cores. Rounds of cores come from RoundedSearch (core/plan), so the answer is the same for any number of threads.
//
// The first second runs here: most searches end in it, and a thread takes longer to start than they do. After it threads take the cores of a round one by one,
// and this thread only waits, so that Ctrl-C can stop them: what is found until then is the answer, marked as not proven.

import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import {
  type CoreAnswer,
  type CoreTask,
  type Objective,
  type PlanJob,
  type PlanRequest,
  type PlanSearch,
  RoundedSearch,
  type SearchProgress,
  taskRunner,
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

/** A round as a worker gets it. Each round counts for itself, so that a worker that is late with one takes nothing of the next. */
export interface RoundMessage {
  readonly tasks: readonly CoreTask[];
  /** [0]: next task. */
  readonly next: Int32Array;
}

export interface ThreadsRequest {
  readonly space: PlanJob;
  readonly objective: Objective;
  readonly numProven: number;
  readonly workers: number | undefined;
  readonly shard?: { readonly index: number; readonly count: number };
}

const ALONE_MS = 1000;

export async function searchOnThreads(
  given: { readonly job: JobSpec; readonly request: PlanRequest },
  at: ThreadsRequest,
  io: Io,
): Promise<PlanSearch> {
  const startMs = performance.now();
  const search = new RoundedSearch(at.space, at.objective, {
    numProven: at.numProven,
    ...(at.shard === undefined ? {} : { shard: at.shard }),
  });
  const run = taskRunner(at.space, at.objective, at.numProven);
  const numWorkers = Math.min(at.workers ?? availableParallelism(), search.cores.length);
  for (let tasks = search.round(); tasks.length > 0; tasks = search.round()) {
    if (numWorkers > 1 && performance.now() - startMs > ALONE_MS)
      return onThreads(search, tasks, { ...given, numProven: at.numProven, numWorkers }, io);
    const answers: CoreAnswer[] = [];
    for (const task of tasks) {
      answers.push(run(task));
      io.progress(progressText(search.progress()));
    }
    search.take(answers);
  }
  return search.result();
}

function progressText({ numDone, numCores, best }: SearchProgress): string {
  const found = best === null ? "nothing that fits yet" : `best ${formatSeconds(best.brief.stepSec)} a step`;
  return `searching: ${numDone} of ${numCores} kernels (tp, cp, ep, micro-batch), ${found}`;
}

async function onThreads(
  search: RoundedSearch,
  first: CoreTask[],
  given: {
    readonly job: JobSpec;
    readonly request: PlanRequest;
    readonly numProven: number;
    readonly numWorkers: number;
  },
  io: Io,
): Promise<PlanSearch> {
  const stopping = new Int32Array(new SharedArrayBuffer(4));
  const { job, request, numProven } = given;
  const workerData: WorkerData = { job, request, numProven, stop: stopping };
  const workers = Array.from(
    { length: given.numWorkers },
    () => new Worker(new URL("./worker.js", import.meta.url), { workerData }),
  );
  const stop = () => {
    Atomics.store(stopping, 0, 1);
  };
  process.on("SIGINT", stop);
  try {
    for (let tasks = first; tasks.length > 0; tasks = search.round()) {
      search.take(await round(workers, tasks));
      io.progress(progressText(search.progress()));
      if (Atomics.load(stopping, 0) === 1) break;
    }
  } finally {
    process.off("SIGINT", stop);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return search.result();
}

interface Message {
  readonly index: number;
  readonly answer: CoreAnswer;
}

/** Every worker gets the whole round and takes tasks by a shared counter. */
function round(workers: readonly Worker[], tasks: readonly CoreTask[]): Promise<CoreAnswer[]> {
  return new Promise((done, fail) => {
    const answers = new Array<CoreAnswer>(tasks.length);
    let left = tasks.length;
    const message: RoundMessage = { tasks, next: new Int32Array(new SharedArrayBuffer(4)) };
    const release: (() => void)[] = [];
    const end = (act: () => void) => {
      for (const each of release) each();
      act();
    };
    for (const worker of workers) {
      const onMessage = ({ index, answer }: Message) => {
        answers[index] = answer;
        left -= 1;
        if (left === 0) end(() => done(answers));
      };
      const onError = (error: Error) => end(() => fail(error));
      worker.on("message", onMessage);
      worker.on("error", onError);
      release.push(() => {
        worker.off("message", onMessage);
        worker.off("error", onError);
      });
      worker.postMessage(message);
    }
  });
}
