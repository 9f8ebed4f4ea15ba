// Ranks as processes that talk over TCP, each with a memory of its own. They are children of this process, told what to do and heard over
// its channel to them; a child that ends takes its run with it. Over several hosts each host's process has its share of the ranks; all of them connect to
// rank 0, which compares what they were told.

import { type ChildProcess, fork } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { type RankFailure, runFailure } from "./failure.ts";
import { type JobFacts, jobFacts } from "./jobFacts.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { type PoolOptions, ranksOfHost } from "./rankPool.ts";
import type { ThreadMessage } from "./threadProtocol.ts";

/** To a rank's process: one run. */
export interface ProcessMessage extends PoolOptions {
  readonly job: RankJob;
  readonly rank: number;
  readonly numRanks: number;
  /** Where rank 0 listens. */
  readonly host: string;
  readonly port: number;
  /** Equal on all ranks of a run; of runs on one machine, different for every run. */
  readonly runName: string;
  /** Of several hosts: what must be equal on all of them. */
  readonly facts: JobFacts;
  readonly ranksPerHost: number;
  /** How long ranks wait for each other at the start. */
  readonly connectTimeoutMs: number;
}

/** Built, a rank starts as JavaScript; from the sources it needs a loader. */
const rankPath = fileURLToPath(
  import.meta.url.endsWith(".ts")
    ? new URL("./processRank.fixture.mjs", import.meta.url)
    : new URL("./processRank.js", import.meta.url),
);

/** After one rank has failed, how long the others may take to notice before they are ended. */
const graceMs = 5000;

/** How long ranks wait for each other at the start: here, and over hosts, where people start them one after another. */
const localConnectMs = 60_000;
export const hostsConnectMs = 120_000;

export class RankProcesses {
  private readonly options: PoolOptions;
  private children: ChildProcess[] = [];
  private numRuns = 0;
  /** Ranks are ended from here, because another one failed. */
  private isEnding = false;

  constructor(options: PoolOptions = {}) {
    this.options = options;
  }

  async run(job: RankJob, onEvent: (event: RunEvent) => void): Promise<void> {
    const numRanks = job.arenaBytes.length;
    const { hosts, timeoutMs } = this.options;
    const { first, count } = hosts === undefined ? { first: 0, count: numRanks } : ranksOfHost(numRanks, hosts);
    const meeting =
      hosts === undefined
        ? { host: "127.0.0.1", port: await freePort(), runName: `run ${process.pid} ${this.numRuns++}`, facts: {} }
        : { host: hosts.address, port: hosts.port, runName: "run", facts: jobFacts(job, this.options) };
    const connectTimeoutMs = hosts === undefined ? localConnectMs : (timeoutMs ?? hostsConnectMs);
    const sent = withoutSharedMemory(job) as RankJob;
    this.children = Array.from({ length: count }, () =>
      fork(rankPath, { execArgv: ["--no-warnings"], serialization: "advanced" }),
    );
    const failures: RankFailure[] = [];
    this.isEnding = false;
    let late: ReturnType<typeof setTimeout> | undefined;
    await Promise.all(
      this.children.map(async (child, i) => {
        const message = {
          job: sent,
          rank: first + i,
          numRanks,
          ...meeting,
          ranksPerHost: count,
          connectTimeoutMs,
          ...this.options,
        };
        const failure = await oneRun(child, message, { onEvent, isEnding: () => this.isEnding });
        if (failure !== null && failures.push(failure) === 1) late = setTimeout(() => this.kill(), graceMs);
      }),
    );
    clearTimeout(late);
    await this.close();
    const failure = runFailure(failures);
    if (failure !== null) throw failure;
  }

  private kill(): void {
    this.isEnding = true;
    for (const child of this.children) child.kill("SIGKILL");
  }

  async close(): Promise<void> {
    const ended = this.children.map(
      (child) =>
        new Promise<void>((done) => {
          if (child.exitCode !== null || child.signalCode !== null) done();
          else child.once("exit", () => done());
        }),
    );
    for (const child of this.children) if (child.connected) child.disconnect();
    const late = setTimeout(() => this.kill(), graceMs);
    await Promise.all(ended);
    clearTimeout(late);
    this.children = [];
  }
}

function oneRun(
  child: ChildProcess,
  message: ProcessMessage,
  run: { readonly onEvent: (event: RunEvent) => void; readonly isEnding: () => boolean },
): Promise<RankFailure | null> {
  const { rank } = message;
  return new Promise((resolve) => {
    // processRank.ts sends these.
    child.on("message", (sent) => {
      const said = sent as ThreadMessage;
      if (said.kind === "event") run.onEvent(said.event);
      else resolve(said.kind === "done" ? null : { ...said, rank });
    });
    child.once("error", (error) => resolve({ rank, text: error.message, isEcho: false, isLost: true }));
    child.once("exit", (code, signal) =>
      resolve({
        rank,
        text: `its process ended with ${signal ?? `status ${code}`}`,
        isEcho: run.isEnding(),
        isLost: true,
      }),
    );
    child.send(message);
  });
}

/** Memory that threads share cannot travel to processes: they get copies. */
function withoutSharedMemory(value: unknown): unknown {
  if (value instanceof SharedArrayBuffer) return new Uint8Array(new Uint8Array(value)).buffer;
  if (Array.isArray(value)) return value.map(withoutSharedMemory);
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withoutSharedMemory(each)]));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
