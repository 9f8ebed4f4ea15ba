// Ranks as threads of this process: one worker for each rank, one shared memory in which every rank has a region of its own. Workers stay for further
// runs. The first failure of a rank that no other rank caused is the one that is told.

import { Worker } from "node:worker_threads";
import { sharedMemory } from "../memory/index.ts";
import { createThreadWorld, markRankDead } from "../transport/threads/threadWorld.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import type { RunMessage, ThreadMessage } from "./threadProtocol.ts";

/** Built, a worker starts as JavaScript; from the sources it needs a loader. */
const workerUrl = import.meta.url.endsWith(".ts")
  ? new URL("./threadRank.fixture.mjs", import.meta.url)
  : new URL("./threadRank.js", import.meta.url);

/** A rank failed: what it said, and which one it was. */
export class RunFailure extends Error {
  readonly rank: number;

  constructor(rank: number, text: string, options?: ErrorOptions) {
    super(`Rank ${rank} failed: ${text}`, options);
    this.name = "RunFailure";
    this.rank = rank;
  }
}

interface Failure {
  readonly rank: number;
  readonly text: string;
  readonly isEcho: boolean;
}

export class RankThreads {
  private readonly workers: (Worker | null)[] = [];

  /** Runs a job on its ranks; resolves when all have ended. Throws RunFailure when one fails. One run at a time. */
  async run(job: RankJob, onEvent: (event: RunEvent) => void): Promise<void> {
    const numRanks = job.arenaBytes.length;
    const { memory, regions } = sharedMemory(job.arenaBytes);
    const world = createThreadWorld(numRanks, memory);
    for (let rank = 0; rank < numRanks; rank++) this.workers[rank] ??= new Worker(workerUrl);
    const failures: Failure[] = [];
    await Promise.all(
      Array.from({ length: numRanks }, (_, rank) => {
        return this.runOne({ job, world, rank, region: regions[rank]! }, onEvent, failures);
      }),
    );
    const told = failures.find((failure) => !failure.isEcho) ?? failures[0];
    if (told !== undefined) throw new RunFailure(told.rank, told.text);
  }

  private runOne(message: RunMessage, onEvent: (event: RunEvent) => void, failures: Failure[]): Promise<void> {
    const { rank, world } = message;
    const worker = this.workers[rank]!; // run() made it
    return new Promise((done) => {
      const end = (failure: Failure | null) => {
        if (failure !== null) failures.push(failure);
        worker.off("message", onMessage);
        worker.off("error", onError);
        worker.off("exit", onExit);
        done();
      };
      const onMessage = (said: ThreadMessage) => {
        if (said.kind === "event") onEvent(said.event);
        else end(said.kind === "done" ? null : { rank, text: said.text, isEcho: said.isEcho });
      };
      // A thread that ended without a word: its peers must not wait for it, and the next run needs another.
      const lost = (text: string) => {
        this.workers[rank] = null;
        markRankDead(world, rank);
        end({ rank, text, isEcho: false });
      };
      const onError = (error: Error) => lost(error.message);
      const onExit = (code: number) => lost(`its thread ended with status ${code}`);
      worker.on("message", onMessage);
      worker.on("error", onError);
      worker.on("exit", onExit);
      worker.postMessage(message);
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.workers.splice(0).map((worker) => worker?.terminate()));
  }
}
