// MPI's own collectives, as operations that do not block, so that they have deadlines like everything else. A group's MPI communicator is made
// when it is first used; the caller has made sure that all its ranks are there (Communicator).

import type { NativeCollectives } from "../contract.ts";

/** native/mpi.c. Requests and communicators are small numbers. */
export interface MpiAddon {
  init(): [rank: number, numRanks: number];
  post(comm: number, to: number, tag: number, data: Uint8Array): number;
  wait(request: number, seconds: number): number;
  receive(from: number, tag: number, into: Uint8Array, seconds: number): number;
  control(): [from: number, data: Uint8Array] | null;
  barrier(): number;
  group(ranks: Int32Array): number;
  allReduce(comm: number, view: Float32Array, op: number): number;
  allGather(comm: number, input: Float32Array, out: Float32Array): number;
  reduceScatter(comm: number, input: Float32Array, out: Float32Array, op: number): number;
  allToAll(comm: number, input: Float32Array, out: Float32Array, counts: Int32Array): number;
  broadcast(comm: number, view: Float32Array, root: number): number;
  finalize(): void;
  version(): string;
}

/** How a wait of the addon ended. */
export const outcome = { done: -1, slicePassed: -2, controlCame: -3 } as const;

const opCode = { sum: 0, max: 1 } as const;

export class MpiCollectives implements NativeCollectives {
  private readonly addon: MpiAddon;
  private readonly settle: (request: number) => void;
  private readonly comms = new Map<string, number>();

  constructor(addon: MpiAddon, settle: (request: number) => void) {
    this.addon = addon;
    this.settle = settle;
  }

  allReduce(group: readonly number[], view: Float32Array, op: "sum" | "max"): void {
    this.settle(this.addon.allReduce(this.comm(group), view, opCode[op]));
  }

  allGather(group: readonly number[], input: Float32Array, out: Float32Array): void {
    this.settle(this.addon.allGather(this.comm(group), input, out));
  }

  reduceScatter(group: readonly number[], input: Float32Array, out: Float32Array, op: "sum" | "max"): void {
    this.settle(this.addon.reduceScatter(this.comm(group), input, out, opCode[op]));
  }

  allToAll(
    group: readonly number[],
    input: Float32Array,
    sendCounts: readonly number[],
    out: Float32Array,
    recvCounts: readonly number[],
  ): void {
    const counts = Int32Array.from([...sendCounts, ...offsets(sendCounts), ...recvCounts, ...offsets(recvCounts)]);
    this.settle(this.addon.allToAll(this.comm(group), input, out, counts));
  }

  broadcast(group: readonly number[], view: Float32Array, rootIndex: number): void {
    this.settle(this.addon.broadcast(this.comm(group), view, rootIndex));
  }

  private comm(group: readonly number[]): number {
    const key = group.join();
    let comm = this.comms.get(key);
    if (comm === undefined) {
      comm = this.addon.group(Int32Array.from(group));
      this.comms.set(key, comm);
    }
    return comm;
  }
}

function offsets(counts: readonly number[]): number[] {
  let at = 0;
  return counts.map((count) => {
    const from = at;
    at += count;
    return from;
  });
}
