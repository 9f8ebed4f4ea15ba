// One rank of an MPI run: `mpirun -n 8 npx meshwright run ...` starts this program once for each rank, and each runs its own.

import { InputError } from "@meshwright/core/units";
import { communicators } from "../collectives/communicator.ts";
import { mpiPlace, mpiTransport } from "../transport/mpi/mpiTransport.ts";
import { RunFailure } from "./failure.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import type { PoolOptions } from "./rankPool.ts";
import { runOwnRank } from "./runToEnd.ts";

export class MpiRank {
  private readonly options: PoolOptions;

  constructor(options: PoolOptions = {}) {
    this.options = options;
  }

  /** MPI starts once in a process, so a second run is not possible. */
  async run(job: RankJob, onEvent: (event: RunEvent) => void): Promise<void> {
    const place = mpiPlace(process.env);
    const numRanks = job.arenaBytes.length;
    if (place === null || place.numRanks !== numRanks)
      throw new InputError({
        path: "--transport",
        message:
          place === null
            ? `An MPI run of ${numRanks} ranks is started by mpirun`
            : `mpirun started ${place.numRanks} ranks, and the strategy has ${numRanks}`,
        hint: `run it as: mpirun -n ${numRanks} npx meshwright run ...`,
      });
    const { timeoutMs, algorithms } = this.options;
    const transport = mpiTransport(timeoutMs === undefined ? {} : { timeoutMs });
    const groups = communicators(transport, {
      nodeSize: place.nodeSize,
      ...(algorithms === undefined ? {} : { algorithms }),
    });
    const said = runOwnRank(job, { transport, groups, emit: onEvent });
    if (said.kind === "failed") throw new RunFailure({ rank: transport.rank, text: said.text, isLost: said.isLost });
  }

  async close(): Promise<void> {}
}
