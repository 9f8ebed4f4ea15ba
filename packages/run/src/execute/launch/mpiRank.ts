// One rank of an MPI run: `mpirun -n 8 npx meshwright run ... --transport mpi` starts this program once for each rank, and each runs its own.

import { InputError } from "@meshwright/core/units";
import { communicators } from "../collectives/communicator.ts";
import { mpiPlace, mpiTransport } from "../transport/mpi/mpiTransport.ts";
import { runOwnRank } from "./ownRank.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { RunFailure } from "./threads.ts";

export class MpiRank {
  private readonly timeoutMs: number | undefined;

  constructor(options: { readonly timeoutMs?: number } = {}) {
    this.timeoutMs = options.timeoutMs;
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
        hint: `run it as: mpirun -n ${numRanks} npx meshwright run ... --transport mpi`,
      });
    const transport = mpiTransport(this.timeoutMs === undefined ? {} : { timeoutMs: this.timeoutMs });
    const groups = communicators(transport, { nodeSize: place.nodeSize });
    const said = runOwnRank(job, transport, groups, onEvent);
    if (said.kind === "failed") throw new RunFailure(transport.rank, said.text, said.isLost);
  }

  async close(): Promise<void> {}
}
