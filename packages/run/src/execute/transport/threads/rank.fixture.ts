// A rank of a contract test on its own thread: takes tasks, each in a world of its own.

import { parentPort, workerData } from "node:worker_threads";
import type { TransportOptions } from "../contract.ts";
import { type RankTask, runTask } from "../rankTask.fixture.ts";
import { threadTransport } from "./threadTransport.ts";
import type { ThreadWorld } from "./threadWorld.ts";

// threads.fixture.ts starts this file with this data.
const { rank } = workerData as { readonly rank: number };
const port = parentPort!;

port.on(
  "message",
  ({ world, task, options }: { world: ThreadWorld; task: RankTask; options: Partial<TransportOptions> }) => {
    try {
      const transport = threadTransport(world, rank, options);
      const { memory } = world;
      const regionBytes = memory === null ? 0 : Math.floor(memory.buffer.byteLength / world.numRanks / 64) * 64;
      let used = 0;
      const allocateShared = (numElements: number) => {
        // Tensors of a scenario are short-lived: start again at the region's start when it is full.
        if (used + numElements * 4 > regionBytes) used = 0;
        const view = new Float32Array(memory!.buffer, rank * regionBytes + used, numElements);
        used += Math.ceil((numElements * 4) / 64) * 64;
        return view;
      };
      port.postMessage({ report: runTask(transport, task, memory === null ? null : allocateShared) });
    } catch (error) {
      port.postMessage({ failure: String((error as Error).stack) });
    }
  },
);
port.postMessage({ ready: true });
