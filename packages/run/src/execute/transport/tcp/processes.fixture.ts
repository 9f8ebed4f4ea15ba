// Starts ranks of contract tests as processes and keeps them for the next test.

import { type ChildProcess, fork } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { TransportOptions } from "../contract.ts";
import type { RankReport, RankTask } from "../rankTask.fixture.ts";
import type { TcpTask } from "./rank.fixture.ts";

export class TcpRanks {
  private readonly children: (ChildProcess | null)[] = [];
  private numRuns = 0;

  /** @returns each rank's report; null for a rank whose process ended. */
  async run(numRanks: number, task: RankTask, options: Partial<TransportOptions>): Promise<(RankReport | null)[]> {
    await Promise.all(
      Array.from({ length: numRanks }, async (_, rank) => {
        this.children[rank] ??= await this.start();
      }),
    );
    const port = await freePort();
    const job = `run ${this.numRuns++}`;
    return Promise.all(
      Array.from({ length: numRanks }, (_, rank) => {
        const child = this.children[rank]!;
        return new Promise<RankReport | null>((resolve, reject) => {
          const onExit = () => {
            this.children[rank] = null;
            resolve(null);
          };
          child.once("exit", onExit);
          child.once("message", (message) => {
            child.off("exit", onExit);
            // rank.fixture.ts sends this.
            const { report, failure } = message as { report?: RankReport; failure?: string };
            if (report === undefined) reject(new Error(failure));
            else resolve(report);
          });
          child.send({ rank, numRanks, port, job, task, options } satisfies TcpTask);
        });
      }),
    );
  }

  private async start(): Promise<ChildProcess> {
    const child = fork(fileURLToPath(new URL("./rank.fixture.mjs", import.meta.url)), { execArgv: ["--no-warnings"] });
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("exit", () => reject(new Error("a rank's process ended at its start")));
    });
    return child;
  }

  stop(): void {
    for (const child of this.children) child?.kill();
  }
}

export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
