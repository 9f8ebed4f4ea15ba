// The thread of one rank: runs what it is told (threads.ts), one run after another.

import { parentPort } from "node:worker_threads";
import { assert } from "@meshwright/core";
import { communicators } from "../collectives/communicator.ts";
import { nowSec } from "../engine/spanRecorder.ts";
import { chooseKernels } from "../kernels/chooseKernels.ts";
import { rankMemory } from "../memory/index.ts";
import { TransportError } from "../transport/contract.ts";
import { threadTransport } from "../transport/threads/threadTransport.ts";
import { runRank } from "./runRank.ts";
import type { RunMessage, ThreadMessage } from "./threadProtocol.ts";

function post(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}

parentPort?.on("message", ({ job, world, rank, region, timeoutMs, algorithms }: RunMessage) => {
  const transport = threadTransport(world, rank, timeoutMs === undefined ? {} : { timeoutMs });
  try {
    const { memory } = world;
    assert(memory !== null, "ranks on threads share a memory");
    const mats = rankMemory(memory, region.startBytes, region.sizeBytes, rank);
    const { kernels, classes, note } = chooseKernels(job.kernels ?? "auto", mats, nowSec);
    if (rank === 0) post({ kind: "event", event: { kind: "kernels", classes, note } });
    runRank(job, {
      link: transport,
      groups: communicators(transport, algorithms === undefined ? {} : { algorithms }),
      memory: mats,
      kernels,
      emit: (event) => post({ kind: "event", event }),
    });
    transport.close();
    post({ kind: "done" });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const isEcho = error instanceof TransportError && error.kind !== "mismatch";
    transport.abort(`rank ${rank} failed: ${text}`);
    const isLost = error instanceof TransportError && (error.kind === "timeout" || error.kind === "peerDied");
    post({ kind: "failed", text, isEcho, isLost, stack: error instanceof Error ? (error.stack ?? "") : "" });
  }
});
