// Runs one rank, whatever carries its messages, and says how it ended. A failure is a value, because whoever hears of it mostly sits in another
// thread or process; it ends the run on all other ranks too.

import type { GroupsOf } from "../engine/links.ts";
import { nowSec } from "../engine/spanRecorder.ts";
import { chooseKernels } from "../kernels/chooseKernels.ts";
import { type ArenaMats, rankMemory, sharedMemory } from "../memory/index.ts";
import { type Transport, TransportError } from "../transport/contract.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { runRank } from "./runRank.ts";
import type { RankEnd } from "./threadProtocol.ts";

/** What a rank runs on. */
export interface RankPlace {
  readonly transport: Transport;
  readonly groups: GroupsOf;
  /** Called once; what it throws is a failure of the rank. */
  readonly memory: () => ArenaMats;
  readonly emit: (event: RunEvent) => void;
}

/** Runs the rank to its end. The transport is closed after success alone: after a failure the run is aborted on all ranks. */
export function runToEnd(job: RankJob, { transport, groups, memory, emit }: RankPlace): RankEnd {
  const { rank } = transport;
  try {
    const mats = memory();
    const { kernels, classes, note } = chooseKernels(job.kernels ?? "auto", mats, nowSec);
    if (rank === 0) emit({ kind: "kernels", classes, note });
    runRank(job, { link: transport, groups, memory: mats, kernels, emit });
    transport.close();
    return { kind: "done" };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const isEcho = error instanceof TransportError && error.kind !== "mismatch";
    const isLost = error instanceof TransportError && (error.kind === "timeout" || error.kind === "peerDied");
    transport.abort(`rank ${rank} failed: ${text}`);
    return { kind: "failed", text, isEcho, isLost, stack: error instanceof Error ? (error.stack ?? "") : "" };
  }
}

/** The rank of this process, with a memory of its own. */
export function runOwnRank(job: RankJob, place: Omit<RankPlace, "memory">): RankEnd {
  const { transport } = place;
  const memory = () => {
    const own = sharedMemory([job.arenaBytes[transport.rank]!]);
    const { startBytes, sizeBytes } = own.regions[0]!; // one was asked for
    return rankMemory(own.memory, startBytes, sizeBytes, transport.rank);
  };
  const end = runToEnd(job, { ...place, memory });
  // Until the others know why: the process may end with this call.
  if (end.kind === "failed") transport.close();
  return end;
}
