// The thread of one rank: runs what it is told (threads.ts), one run after another, in its region of the memory that all ranks share.

import { parentPort } from "node:worker_threads";
import { assert } from "@meshwright/core";
import { communicators } from "../collectives/communicator.ts";
import { rankMemory } from "../memory/index.ts";
import { threadTransport } from "../transport/threads/threadTransport.ts";
import { runToEnd } from "./runToEnd.ts";
import type { RunMessage, ThreadMessage } from "./threadProtocol.ts";

function post(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}

parentPort?.on("message", ({ job, world, rank, region, timeoutMs, algorithms }: RunMessage) => {
  const transport = threadTransport(world, rank, timeoutMs === undefined ? {} : { timeoutMs });
  const end = runToEnd(job, {
    transport,
    groups: communicators(transport, algorithms === undefined ? {} : { algorithms }),
    memory: () => {
      assert(world.memory !== null, "ranks on threads share a memory");
      return rankMemory(world.memory, region.startBytes, region.sizeBytes, rank);
    },
    emit: (event) => post({ kind: "event", event }),
  });
  post(end);
});
