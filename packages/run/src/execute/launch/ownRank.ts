// Runs one rank in this process with a memory of its own, and says how it ended.

import type { GroupsOf } from "../engine/links.ts";
import { nowSec } from "../engine/spanRecorder.ts";
import { chooseKernels } from "../kernels/chooseKernels.ts";
import { rankMemory, sharedMemory } from "../memory/index.ts";
import { type Transport, TransportError } from "../transport/contract.ts";
import type { RankJob, RunEvent } from "./rankJob.ts";
import { runRank } from "./runRank.ts";
import type { ThreadMessage } from "./threadProtocol.ts";

export function runOwnRank(
  job: RankJob,
  transport: Transport,
  groups: GroupsOf,
  emit: (event: RunEvent) => void,
): Exclude<ThreadMessage, { kind: "event" }> {
  const { rank } = transport;
  try {
    const { memory, regions } = sharedMemory([job.arenaBytes[rank]!]);
    const mats = rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, rank);
    const { kernels, classes, note } = chooseKernels(job.kernels ?? "auto", mats, nowSec);
    if (transport.rank === 0) emit({ kind: "kernels", classes, note });
    runRank(job, { link: transport, groups, memory: mats, kernels, emit });
    transport.close();
    return { kind: "done" };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const isEcho = error instanceof TransportError && error.kind !== "mismatch";
    const isLost = error instanceof TransportError && (error.kind === "timeout" || error.kind === "peerDied");
    transport.abort(`rank ${rank} failed: ${text}`);
    // Until the others know why.
    transport.close();
    return { kind: "failed", text, isEcho, isLost, stack: error instanceof Error ? (error.stack ?? "") : "" };
  }
}
