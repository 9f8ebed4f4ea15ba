// Starts ranks of contract tests as threads and keeps them for the next test.

import { Worker } from "node:worker_threads";
import { wasm } from "../../webAssembly.ts";
import type { TransportOptions } from "../contract.ts";
import type { RankReport, RankTask } from "../rankTask.fixture.ts";
import { createThreadWorld, markRankDead } from "./threadWorld.ts";

export class ThreadRanks {
  private readonly workers: (Worker | null)[] = [];

  /** @returns each rank's report; null for a rank whose thread ended. */
  async run(numRanks: number, task: RankTask, options: Partial<TransportOptions>): Promise<(RankReport | null)[]> {
    const memory = new wasm.Memory({ initial: 64 * numRanks, maximum: 64 * numRanks, shared: true });
    const world = createThreadWorld(numRanks, memory);
    await Promise.all(
      Array.from({ length: numRanks }, async (_, rank) => {
        this.workers[rank] ??= await this.start(rank);
      }),
    );
    return Promise.all(
      Array.from({ length: numRanks }, (_, rank) => {
        const worker = this.workers[rank]!;
        return new Promise<RankReport | null>((resolve, reject) => {
          const onExit = () => {
            this.workers[rank] = null;
            markRankDead(world, rank);
            resolve(null);
          };
          worker.once("exit", onExit);
          worker.once("message", ({ report, failure }: { report?: RankReport; failure?: string }) => {
            worker.off("exit", onExit);
            if (report === undefined) reject(new Error(failure));
            else resolve(report);
          });
          worker.postMessage({ world, task, options });
        });
      }),
    );
  }

  private async start(rank: number): Promise<Worker> {
    const worker = new Worker(new URL("./rank.fixture.mjs", import.meta.url), { workerData: { rank } });
    await new Promise<void>((resolve, reject) => {
      worker.once("message", () => resolve());
      worker.once("error", reject);
    });
    return worker;
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => worker?.terminate()));
  }
}
