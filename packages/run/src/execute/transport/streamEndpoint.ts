// What lies below a stream transport: threads and TCP bring a ring each way between this rank and every peer, a bell to wait on, and what is known of the
// peers and of the run. The messages (streamMessages.ts) need the rings alone; whoever waits for them (streamTransport.ts) needs the rest.

import type { ByteRing } from "./byteRing.ts";
import type { Doorbell } from "./doorbell.ts";
import type { Raised } from "./raised.ts";

/** What carries the messages. Everything it changes on another rank's behalf rings that rank's bell. */
export interface MessageRings {
  readonly rank: number;
  readonly numRanks: number;
  outRing(peer: number): ByteRing;
  inRing(peer: number): ByteRing;
  /** After writing into outRing. */
  wrote(peer: number): void;
  /** After taking something out of inRing. */
  freed(peer: number): void;
  readonly pointers: PointerTable | null;
}

/** Messages that are sent as addresses. */
export interface PointerTable {
  readonly bytes: Uint8Array;
  /** A free slot of this rank, now taken; -1 when there is none. */
  take(): number;
  isFree(slot: number): boolean;
  /** The receiver has copied the message. */
  free(owner: number, slot: number): void;
}

export interface StreamEndpoint extends MessageRings {
  readonly kind: "threads" | "tcp";
  readonly bell: Doorbell;
  /** null while the peer is there, else what became of it. */
  gone(peer: number): { readonly died: boolean; readonly reason: string } | null;
  raise(raised: Raised): void;
  raised(): Raised | null;
  /** Blocks until what was written has left, at most until the deadline. */
  leave(): void;
}
