// The thread that measures: alone what a core does, or as one of several ranks what messages between them take (calibrateLocal.ts).

import { parentPort } from "node:worker_threads";
import type { CollectivePoint } from "@meshwright/core";
import { wasmModule } from "../kernels/wasmModule.ts";
import { type Region, rankMemory } from "../memory/index.ts";
import { threadTransport } from "../transport/index.ts";
import type { ThreadWorld } from "../transport/threads/threadWorld.ts";
import type { LostTime } from "./lost.ts";
import { measureCollectives } from "./measureCollectives.ts";
import { type CoreLimits, coreLimits } from "./measureMachine.ts";
import { measureMeetings } from "./measureMeetings.ts";
import { measureSteps, type StepMeasurements } from "./measureSteps.ts";
import { effortOf } from "./timing.ts";

export interface MeasureMessage {
  readonly world: ThreadWorld;
  readonly rank: number;
  readonly region: Region;
  readonly part: "kernels" | "collectives";
  readonly quick: boolean;
}

export type MeasureReply =
  | ({ readonly kind: "kernels"; readonly limits: CoreLimits } & StepMeasurements)
  | { readonly kind: "collectives"; readonly points: readonly CollectivePoint[]; readonly lost: LostTime }
  | { readonly kind: "failed"; readonly text: string };

parentPort?.on("message", (message: MeasureMessage) => {
  let reply: MeasureReply;
  try {
    reply = measured(message);
  } catch (error) {
    reply = { kind: "failed", text: error instanceof Error ? error.message : String(error) };
  }
  parentPort?.postMessage(reply);
});

function measured({ world, rank, region, part, quick }: MeasureMessage): MeasureReply {
  const memory = () => rankMemory(world.memory!, region.startBytes, region.sizeBytes, rank); // calibrateLocal() makes it with a memory
  const effort = effortOf(quick);
  if (part === "kernels") {
    const mats = memory();
    const { peakLoop } = wasmModule(mats.arena).exports;
    return { kind: "kernels", limits: coreLimits(mats, peakLoop, effort), ...measureSteps(memory, quick) };
  }
  const transport = threadTransport(world, rank);
  const { points, lost } = measureMeetings(transport, memory, quick);
  const inLoops = measureCollectives(transport, memory(), effort, quick);
  transport.close();
  return { kind: "collectives", points: [...points, ...inLoops], lost };
}
