// Collectives between the threads of ranks, timed on rank 0 between barriers, with the algorithms that `auto` takes.

import type { CollectivePoint } from "@meshwright/core";
import { Communicator } from "../collectives/index.ts";
import { nowSec } from "../engine/spanRecorder.ts";
import { median } from "../measure/opTotals.ts";
import type { ArenaMats } from "../memory/index.ts";
import type { Transport } from "../transport/index.ts";
import { type Effort, nextCalls } from "./timing.ts";

/** Largest message; two buffers of it lie in a rank's region. */
export const mostMessageBytes = 2 ** 24;

/** Ops that small models' steps show (measureMeetings.ts), and up to what size. */
const stepOps: readonly CollectivePoint["op"][] = ["allReduce", "allGather", "reduceScatter"];
const mostStepBytes = 2 ** 21;

/** Called by all ranks alike; the points are right on rank 0. */
export function measureCollectives(
  transport: Transport,
  mats: ArenaMats,
  effort: Effort,
  quick: boolean,
): CollectivePoint[] {
  const ranks = transport.numRanks;
  const together = new Communicator(
    transport,
    Array.from({ length: ranks }, (_, rank) => rank),
  );
  const points: CollectivePoint[] = [];
  for (let wanted = 2 ** 10; wanted <= mostMessageBytes; wanted *= quick ? 64 : 4) {
    const part = Math.floor(wanted / 4 / ranks);
    const length = part * ranks;
    const [input, output] = [0, 1].map(() => {
      const m = mats.allocate(1, length, 0);
      m.data.fill(1, m.offset, m.offset + length);
      return { m, view: (m.data as Float32Array).subarray(m.offset, m.offset + length) }; // an arena's matrix is f32
    }) as [Buffer, Buffer];
    const own = output.view.subarray(0, part);
    const counts = Array.from({ length: ranks }, () => part);
    const [next, before] = [(together.index + 1) % ranks, (together.index + ranks - 1) % ranks];
    const calls: readonly (readonly [CollectivePoint["op"], () => void])[] = [
      ["allReduce", () => together.allReduce(input.view, "max")],
      ["allGather", () => together.allGather(input.view.subarray(0, part), output.view)],
      ["reduceScatter", () => together.reduceScatter(input.view, own, "sum")],
      ["allToAll", () => together.allToAll(input.view, counts, output.view, counts)],
      ["broadcast", () => together.broadcast(input.view, 0)],
      ["sendRecv", () => together.sendRecv(next, input.view, before, output.view)],
    ];
    for (const [op, call] of calls.filter(([op]) => wanted > mostStepBytes || !stepOps.includes(op)))
      points.push({
        op,
        ranks,
        ranksPerNode: ranks,
        sizeBytes: 4 * length,
        durationSec: timeTogether(together, call, effort),
      });
    for (const { m } of [input, output]) mats.release(m);
  }
  return points;
}

interface Buffer {
  readonly m: ReturnType<ArenaMats["allocate"]>;
  readonly view: Float32Array;
}

/** As timeOf(), where all ranks must make the same number of calls: rank 0 says how many. */
function timeTogether(together: Communicator, call: () => void, { batchSec, numBatches }: Effort): number {
  const batch = (calls: number) => {
    together.barrier();
    const start = nowSec();
    for (let i = 0; i < calls; i++) call();
    return nowSec() - start;
  };
  batch(2);
  const calls = Float32Array.of(1);
  for (;;) {
    const spent = batch(calls[0]!);
    const wanted = Float32Array.of(spent < batchSec ? nextCalls(calls[0]!, spent, batchSec) : calls[0]!);
    together.broadcast(wanted, 0);
    if (wanted[0] === calls[0]) break;
    calls[0] = wanted[0]!;
  }
  return median(Array.from({ length: numBatches }, () => batch(calls[0]!) / calls[0]!));
}
