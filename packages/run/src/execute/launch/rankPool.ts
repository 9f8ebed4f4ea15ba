// What runs a job on its ranks, whatever carries their messages.

import type { Algorithms } from "../collectives/algorithms.ts";
import { MpiRank } from "./mpiRank.ts";
import { RankProcesses } from "./processes.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { RankThreads } from "./threads.ts";

export const transportNames = ["threads", "tcp", "mpi"] as const;
export type TransportName = (typeof transportNames)[number];

export interface RankPool {
  /** Resolves when all ranks have ended; rejects with RunFailure when one fails. One run at a time. */
  run(job: RankJob, onEvent: (event: RunEvent) => void): Promise<void>;
  close(): Promise<void>;
}

export interface PoolOptions {
  /** Longest wait of a rank for a peer; the transport's own when absent. */
  readonly timeoutMs?: number;
  /** Of collectives; automatic when absent. */
  readonly algorithms?: Algorithms;
}

export function rankPool(transport: TransportName, options: PoolOptions = {}): RankPool {
  switch (transport) {
    case "threads":
      return new RankThreads(options);
    case "tcp":
      return new RankProcesses(options);
    case "mpi":
      return new MpiRank(options);
  }
}

/** `8 ranks as threads`. */
export function ranksText(numRanks: number, transport: TransportName): string {
  const kind = { threads: "as threads", tcp: "as processes over TCP", mpi: "over MPI" }[transport];
  return `${numRanks === 1 ? "1 rank" : `${numRanks} ranks`} ${kind}`;
}
