// What a rank needs of the others: messages in order, waits that end, and one way to fail. Threads, TCP processes and MPI processes keep this contract
// (transport.contract.test.ts); everything above it is synchronous and knows of no threads, sockets or addresses.
//
// post() never blocks; receive(), wait() and barrier() block, but never for ever: each ends with the data, or with a TransportError when a peer has
// died or left, when another rank aborted, when ranks entered different collectives, or when the deadline has passed.

import type { WasmMemory } from "../webAssembly.ts";
import type { CollectiveCall } from "./collectiveWatch.ts";

/** A message on its way. Its bytes must stay unchanged until wait() returns. */
export interface Pending {
  readonly to: number;
  readonly tag: number;
}

export interface Transport {
  readonly kind: "threads" | "tcp" | "mpi";
  readonly rank: number;
  readonly numRanks: number;
  /** Bytes of payload so far, without headers. */
  readonly traffic: TransportTraffic;
  /** Starts a message. Messages of one (from, to, tag) arrive in order. Tags of users are 0..maxUserTag. */
  post(to: number, tag: number, data: Uint8Array): Pending;
  /** Blocks until the bytes of a posted message may change. */
  wait(pending: Pending): void;
  /** Blocks until the next message of (from, tag) lies in `into`, whose length must be the message's. */
  receive(from: number, tag: number, into: Uint8Array): void;
  /** Blocks until all ranks are here. */
  barrier(): void;
  /** States the collective in which this rank is from now on (null: none), for comparison with its peers and for error messages. */
  enter(call: CollectiveCall | null): void;
  /** Ends the run on all ranks: whoever waits, or comes to wait, throws with this reason. */
  abort(reason: string): void;
  /** Takes this rank out after its last message has left. Peers that still wait for it fail. */
  close(): void;
  /** Memory that all ranks of this process share, or null between processes. */
  readonly shared: SharedRegions | null;
  /** The transport's own collectives (MPI), or null. */
  readonly native: NativeCollectives | null;
}

export interface TransportTraffic {
  sentBytes: number;
  sentMessages: number;
  /** Bytes that this rank read from or wrote to memory of its peers in place. */
  directBytes: number;
}

/** Peers' memory in place. All ranks of the process hold views of one shared WebAssembly.Memory. */
export interface SharedRegions {
  readonly memory: WasmMemory;
  /** Byte address of a view in the shared memory; -1 when it lies elsewhere. */
  addressOf(view: Float32Array): number;
  /**
   * Publishes an address and waits until all peers have published theirs; all must give the same fingerprint, else the ranks are in different collectives.
   * What was written to memory before is visible to the peers after it.
   *
   * @param offsets a number for each of the peers, in their order, that it can ask for with offsetFor().
   */
  meet(peers: readonly number[], fingerprint: number, address: number, offsets: readonly number[] | null): void;
  /** The address that a rank gave in the last meet(); valid until this rank calls part(). */
  address(rank: number): number;
  /** What a rank gave this rank in the last meet(). */
  offsetFrom(rank: number): number;
  /** Waits until all peers have come here too. */
  part(peers: readonly number[]): void;
}

/** Collectives that the transport brings along. `group` lists ranks; counts are in elements. */
export interface NativeCollectives {
  allReduce(group: readonly number[], view: Float32Array, op: "sum" | "max"): void;
  allGather(group: readonly number[], input: Float32Array, out: Float32Array): void;
  reduceScatter(group: readonly number[], input: Float32Array, out: Float32Array, op: "sum" | "max"): void;
  allToAll(
    group: readonly number[],
    input: Float32Array,
    sendCounts: readonly number[],
    out: Float32Array,
    recvCounts: readonly number[],
  ): void;
  broadcast(group: readonly number[], view: Float32Array, rootIndex: number): void;
}

export const maxUserTag = 0x3fff_ffff;

export interface TransportOptions {
  /** How long a rank may wait for one message. */
  readonly timeoutMs: number;
  /** After this long in one wait, ranks compare the collectives they are in. */
  readonly compareAfterMs: number;
  /** TCP: a peer that sends no sign of life for this long counts as dead. */
  readonly heartbeatTimeoutMs: number;
}

export const defaultTransportOptions: TransportOptions = {
  timeoutMs: 120_000,
  compareAfterMs: 1_000,
  heartbeatTimeoutMs: 15_000,
};

/**
 * timeout: a peer did not come in time. peerDied: it ended, or its connection broke. mismatch: ranks entered different collectives, or a message has
 * another length than its receiver expects. aborted: a rank gave up for a reason of its own.
 */
export type TransportFailure = "timeout" | "peerDied" | "mismatch" | "aborted";

export class TransportError extends Error {
  readonly kind: TransportFailure;
  /** The rank that noticed. */
  readonly rank: number;
  /** The rank that is to blame or was waited for; -1 when it is no single one. */
  readonly peer: number;
  /** What the rank was doing: "receive", "wait", "barrier" or "meet". */
  readonly op: string;
  /** The collective in words, or null outside of one. */
  readonly collective: string | null;
  readonly detail: string;

  constructor(at: {
    readonly kind: TransportFailure;
    readonly rank: number;
    readonly peer: number;
    readonly op: string;
    readonly collective: string | null;
    readonly detail: string;
  }) {
    super(at.detail);
    this.name = "TransportError";
    this.kind = at.kind;
    this.rank = at.rank;
    this.peer = at.peer;
    this.op = at.op;
    this.collective = at.collective;
    this.detail = at.detail;
  }
}
