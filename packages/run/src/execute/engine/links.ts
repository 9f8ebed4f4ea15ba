// What the rank engine needs of transports and communicators. Everything blocks: a call returns when the rank's part is done.

/** A message on its way. */
export type PendingSend = unknown;

export interface RankLink<P = PendingSend> {
  readonly rank: number;
  readonly numRanks: number;
  /** Starts a message; `data` stays unchanged until `wait`. Messages of one (from, to, tag) arrive in order. */
  post(to: number, tag: number, data: Uint8Array): P;
  wait(pending: P): void;
  /** The message's length must be that of `into`. */
  receive(from: number, tag: number, into: Uint8Array): void;
}

/** Collectives of a fixed group; members are its positions. Every member calls the same ones in the same order. */
export interface GroupLink {
  allReduce(values: Float32Array, reduce: "sum" | "max"): void;
  /** `gathered` takes the members' equal pieces in order. */
  allGather(own: Float32Array, gathered: Float32Array): void;
  /** `parts` holds a piece for each member; `own` becomes this member's, reduced. */
  reduceScatter(parts: Float32Array, own: Float32Array, reduce: "sum" | "max"): void;
  allToAll(
    sent: Float32Array,
    sendCounts: readonly number[],
    received: Float32Array,
    receiveCounts: readonly number[],
  ): void;
  broadcast(values: Float32Array, root: number): void;
  sendRecv(to: number, sent: Float32Array, from: number, received: Float32Array): void;
}

/** The group of some ranks, in this order. */
export type GroupsOf = (ranks: readonly number[]) => GroupLink;
