// This machine as a calibration: the kernels of `meshwright run` timed on one core inside training steps, collectives between threads on several, and a description of both as device and
// cluster. A core is a device; the machine is one node of as many as it has.

import { cpus, totalmem } from "node:os";
import { Worker } from "node:worker_threads";
import { type Calibration, type CollectivePoint, InputError } from "@meshwright/core";
import { otherCores, readCores } from "../measure/otherPrograms.ts";
import { sharedMemory } from "../memory/index.ts";
import { createThreadWorld, markRankDead } from "../transport/index.ts";
import type { MeasureMessage, MeasureReply } from "./calibrateRank.ts";
import type { LostTime } from "./lost.ts";
import { mostMessageBytes } from "./measureCollectives.ts";
import { limitBytes } from "./measureMachine.ts";
import { meetingBytes } from "./measureMeetings.ts";
import { stepBytes } from "./measureSteps.ts";

/** Built, a worker starts as JavaScript; from the sources it needs a loader. */
const workerUrl = import.meta.url.endsWith(".ts")
  ? new URL("./calibrateRank.fixture.mjs", import.meta.url)
  : new URL("./calibrateRank.js", import.meta.url);

const collectiveBytes = 2 * mostMessageBytes + 2 ** 20;
/** Regions of more threads do not fit the 4 GiB of one WebAssembly memory. */
const mostRanks = 64;

/** Of `measured`: what other programs took meanwhile, on average. */
export const otherProgramsKey = "other_programs";

export interface LocalOptions {
  /** Seconds instead of two minutes: fewer sizes, shorter measurements. */
  readonly quick: boolean;
  /** ISO date for the file. */
  readonly date: string;
  readonly onProgress: (text: string) => void;
}

/** Throws InputError when the kernels are missing or a measurement fails. */
export async function calibrateLocal({ quick, date, onProgress }: LocalOptions): Promise<Calibration> {
  const [cpu] = cpus();
  const numCores = Math.max(1, cpus().length);
  const before = readCores();
  onProgress("measuring kernels on one core");
  const alone = await measure(1, "kernels", Math.max(limitBytes, stepBytes(quick)), quick);
  if (alone.kind !== "kernels") throw new Error("Meshwright bug: a thread measures what it is told");
  const collectives: CollectivePoint[] = [];
  const interruptions = [interruptionRow(1, alone.lost)];
  for (const ranks of groupSizes(Math.min(numCores, mostRanks))) {
    onProgress(`measuring collectives between ${ranks} threads`);
    const reply = await measure(ranks, "collectives", Math.max(collectiveBytes, meetingBytes(ranks, quick)), quick);
    if (reply.kind !== "collectives") throw new Error("Meshwright bug: a thread measures what it is told");
    collectives.push(...reply.points);
    interruptions.push(interruptionRow(ranks, reply.lost));
  }
  const { limits, points, dispatchSec, dispatchAfter } = alone;
  const peak = rate(limits.peakFlopsPerSec, "FLOP/s");
  const device = {
    name: `${(cpu?.model ?? "CPU").trim()} core`,
    // Values of every format lie in f32, so all run at its rate.
    peak: { fp32: peak, bf16: peak, fp16: peak, fp8: peak },
    memory: `${Math.floor(totalmem() / numCores / 2 ** 20)}MiB`,
    memory_bandwidth: rate(limits.memoryBytesPerSec, "B/s"),
    dispatch: micros(dispatchSec),
    ...(dispatchAfter.length === 0
      ? {}
      : {
          dispatch_after: dispatchAfter.map(({ sizeBytes, durationSec }) => ({
            bytes: sizeBytes,
            time: micros(durationSec),
          })),
        }),
    interruptions,
  };
  const cluster = {
    name: "this machine",
    nodes: 1,
    gpus_per_node: numCores,
    device,
    scale_up: { kind: "switch", bandwidth: rate(linkBytesPerSec(collectives) ?? limits.memoryBytesPerSec, "B/s") },
  };
  const measured = {
    ...{ tool: "meshwright calibrate --local", date, node: process.version, arithmetic: "f32" },
    [otherProgramsKey]: `${otherCores(before, readCores()).toFixed(2)} cores`,
  };
  return { device, cluster, measured, conditions: "step", kernels: points, collectives };
}

/** A row of the device's `interruptions`. */
function interruptionRow(devices: number, { busySec, count, sumSec, sumSquares }: LostTime): Record<string, unknown> {
  const each = Math.max(1, count);
  return {
    devices,
    per_second: Number((count / Math.max(busySec, 1e-3)).toPrecision(3)),
    mean: micros(sumSec / each),
    rms: micros(Math.sqrt(sumSquares / each)),
  };
}

function micros(sec: number): string {
  return `${Number((sec * 1e6).toPrecision(3))}us`;
}

/** 2, 4, 8, ... and all. */
function groupSizes(numCores: number): number[] {
  const sizes: number[] = [];
  for (let ranks = 2; ranks < numCores; ranks *= 2) sizes.push(ranks);
  return numCores < 2 ? [] : [...sizes, numCores];
}

/** What a pair of ranks that send at the same time reach with a message of some MiB, which lies in no private cache. */
function linkBytesPerSec(points: readonly CollectivePoint[]): number | undefined {
  const rates = points
    .filter(({ op, ranks, sizeBytes }) => op === "sendRecv" && ranks === 2 && sizeBytes >= 2 ** 21)
    .map(({ sizeBytes, durationSec }) => sizeBytes / durationSec);
  return rates.length === 0 ? undefined : Math.max(...rates);
}

function rate(perSec: number, unit: string): string {
  return `${Number((perSec / 1e9).toPrecision(4))}G${unit}`;
}

/** The reply of rank 0, when all have ended. */
async function measure(
  numRanks: number,
  part: MeasureMessage["part"],
  bytes: number,
  quick: boolean,
): Promise<MeasureReply> {
  const { memory, regions } = sharedMemory(Array.from({ length: numRanks }, () => bytes));
  const world = createThreadWorld(numRanks, memory);
  const workers = regions.map(() => new Worker(workerUrl));
  try {
    const replies = await Promise.all(
      workers.map((worker, rank) => {
        const message: MeasureMessage = { world, rank, region: regions[rank]!, part, quick };
        return replyOf(worker, message, () => markRankDead(world, rank));
      }),
    );
    const failed = replies.find((reply) => reply.kind === "failed");
    if (failed?.kind === "failed")
      throw new InputError({ path: "--local", message: `Cannot measure this machine: ${failed.text}` });
    return replies[0]!; // at least one rank
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function replyOf(worker: Worker, message: MeasureMessage, onLost: () => void): Promise<MeasureReply> {
  return new Promise((done) => {
    const lost = (text: string) => {
      onLost();
      done({ kind: "failed", text });
    };
    worker.once("message", done);
    worker.once("error", (error) => lost(error.message));
    worker.once("exit", (code) => lost(`a measuring thread ended with status ${code}`));
    worker.postMessage(message);
  });
}
