// A rank of a contract test under mpirun: its task comes as an argument, its report leaves as a line on standard output.

import type { TransportOptions } from "../contract.ts";
import { type RankTask, runTask } from "../rankTask.fixture.ts";
import { mpiPlace, mpiTransport } from "./mpiTransport.ts";

// mpi.test.ts passes both.
const task = JSON.parse(process.argv[2]!) as RankTask;
const options = JSON.parse(process.argv[3]!) as Partial<TransportOptions>;
const transport = mpiTransport(options);
if (mpiPlace(process.env)?.rank !== transport.rank) throw new Error("mpirun's variables and MPI agree on the rank");
const report = runTask(transport, task, null);
process.stdout.write(`REPORT ${transport.rank} ${JSON.stringify(report)}\n`);
