// Ranks as threads of this process: one worker for each rank, one shared memory in which every rank has a region of its own. Workers stay for further
// runs. The first failure of a rank that no other rank caused is the one that is told.

import { Worker } from "node:worker_threads";
import { sharedMemory } from "../memory/index.ts";
import { createThreadWorld, markRankDead } from "../transport/threads/threadWorld.ts";
import { type RankFailure, runFailure } from "./failure.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import type { PoolOptions } from "./rankPool.ts";
import type { RunMessage, ThreadMessage } from "./threadProtocol.ts";

/** Built, a worker starts as JavaScript; from the sources it needs a loader. */
const workerUrl = import.meta.url.endsWith(".ts")
  ? new URL("./threadRank.fixture.mjs", import.meta.url)
  : new URL("./threadRank.js", import.meta.url);

/** After one rank has failed, how long the others may take to notice before they are ended. */
const graceMs = 2000;

export class RankThreads {
  private readonly workers: (Worker | null)[] = [];
  private readonly options: PoolOptions;
  private readonly running = new Set<number>();
  private late: ReturnType<typeof setTimeout> | undefined;
  /** Threads that were ended from here. */
  private readonly ended = new WeakSet<Worker>();

  constructor(options: PoolOptions = {}) {
    this.options = options;
  }

  /** Runs a job on its ranks; resolves when all have ended. Throws RunFailure when one fails. One run at a time. */
  async run(job: RankJob, onEvent: (event: RunEvent) => void): Promise<void> {
    const numRanks = job.arenaBytes.length;
    const { memory, regions } = sharedMemory(job.arenaBytes);
    const world = createThreadWorld(numRanks, memory);
    for (let rank = 0; rank < numRanks; rank++) this.workers[rank] ??= new Worker(workerUrl);
    const failures: RankFailure[] = [];
    await Promise.all(
      Array.from({ length: numRanks }, (_, rank) => {
        return this.runOne({ job, world, rank, region: regions[rank]!, ...this.options }, onEvent, failures);
      }),
    );
    clearTimeout(this.late);
    const failure = runFailure(failures);
    if (failure === null) return;
    // What the others have begun, checkpoints above all, ends with them.
    await this.close();
    throw failure;
  }

  private runOne(message: RunMessage, onEvent: (event: RunEvent) => void, failures: RankFailure[]): Promise<void> {
    const { rank, world } = message;
    const worker = this.workers[rank]!; // run() made it
    return new Promise((done) => {
      const end = (failure: RankFailure | null) => {
        if (failure !== null && failures.push(failure) === 1) this.late = setTimeout(() => this.endLate(), graceMs);
        this.running.delete(rank);
        worker.off("message", onMessage);
        worker.off("error", onError);
        worker.off("exit", onExit);
        done();
      };
      const onMessage = (said: ThreadMessage) => {
        if (said.kind === "event") onEvent(said.event);
        else end(said.kind === "done" ? null : { rank, text: said.text, isEcho: said.isEcho, isLost: said.isLost });
      };
      // A thread that ended without a word: its peers must not wait for it, and the next run needs another.
      const lost = (text: string) => {
        this.workers[rank] = null;
        markRankDead(world, rank);
        end({ rank, text, isEcho: this.ended.has(worker), isLost: true });
      };
      const onError = (error: Error) => lost(error.message);
      const onExit = (code: number) => lost(`its thread ended with status ${code}`);
      worker.on("message", onMessage);
      worker.on("error", onError);
      worker.on("exit", onExit);
      this.running.add(rank);
      worker.postMessage(message);
    });
  }

  /** Ranks that have not noticed a failure wait for something else, or hang. */
  private endLate(): void {
    for (const rank of this.running) {
      const worker = this.workers[rank];
      if (worker === null || worker === undefined) continue;
      this.ended.add(worker);
      void worker.terminate();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker?.terminate()));
  }
}
