// What runs a job on its ranks, whatever carries their messages.

import { InputError } from "@meshwright/core/units";
import type { Algorithms } from "../collectives/algorithms.ts";
import { mpiPlace } from "../transport/mpi/mpiTransport.ts";
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
  /** TCP over several hosts, each of which has a command of its own; all ranks are on this machine when absent. */
  readonly hosts?: HostPlace;
}

/** The place of this host among those of a run. */
export interface HostPlace {
  readonly numHosts: number;
  /** 0-based; rank 0 is on host 0. */
  readonly host: number;
  /** Where rank 0 listens, as all hosts reach it. */
  readonly address: string;
  readonly port: number;
}

/** Ranks of a host: equal shares, one after another. @throws InputError where they do not divide. */
export function ranksOfHost(
  numRanks: number,
  { numHosts, host }: HostPlace,
): { readonly first: number; readonly count: number } {
  const count = numRanks / numHosts;
  if (!Number.isInteger(count))
    throw new InputError({
      path: "--nnodes",
      message: `${numRanks} ranks do not divide over ${numHosts} hosts`,
      hint: "choose axes whose product is a multiple of the number of hosts",
    });
  return { first: host * count, count };
}

/** Memory of the ranks that run on this machine. Of an MPI run, as many of the largest as mpirun put here. */
export function arenasHere(
  arenaBytes: readonly number[],
  transport: TransportName,
  hosts?: HostPlace,
): readonly number[] {
  if (transport === "mpi") {
    const numHere = mpiPlace(process.env)?.nodeSize ?? arenaBytes.length;
    return [...arenaBytes].sort((a, b) => b - a).slice(0, numHere);
  }
  if (hosts === undefined) return arenaBytes;
  const { first, count } = ranksOfHost(arenaBytes.length, hosts);
  return arenaBytes.slice(first, first + count);
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
export function ranksText(numRanks: number, transport: TransportName, hosts?: HostPlace): string {
  const kind = { threads: "as threads", tcp: "as processes over TCP", mpi: "over MPI" }[transport];
  const where = hosts === undefined || hosts.numHosts === 1 ? "" : ` on ${hosts.numHosts} hosts`;
  return `${numRanks === 1 ? "1 rank" : `${numRanks} ranks`} ${kind}${where}`;
}
