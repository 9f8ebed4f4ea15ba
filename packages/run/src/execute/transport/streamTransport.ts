// Messages over byte rings: the transport of threads (a ring between any two ranks) and of TCP (rings between a rank and the thread that does its
// I/O). A message is a header and its bytes; what lies in memory that all ranks share goes as an address, and the receiver copies it in place.
//
// post() queues and writes what fits; every wait goes on writing what is queued and takes in whatever arrives, so two ranks that send to each other
// never block. Messages that nobody waits for yet are kept. What ends a wait stands in giveUp().

import { assert } from "@meshwright/core/units";
import type { ByteRing } from "./byteRing.ts";
import { type CollectiveCall, CollectiveWatch, describeCall } from "./collectiveWatch.ts";
import type {
  Pending,
  SharedRegions,
  Transport,
  TransportError,
  TransportFailure,
  TransportOptions,
  TransportTraffic,
} from "./contract.ts";
import type { Doorbell } from "./doorbell.ts";
import { goneText, lengthText, timeoutText } from "./failureText.ts";
import { errorOf, type Raised } from "./raised.ts";

/** What lies below the messages. Everything it changes on another rank's behalf rings that rank's bell. */
export interface StreamEndpoint {
  readonly kind: "threads" | "tcp";
  readonly rank: number;
  readonly numRanks: number;
  readonly bell: Doorbell;
  outRing(peer: number): ByteRing;
  inRing(peer: number): ByteRing;
  /** After writing into outRing. */
  wrote(peer: number): void;
  /** After taking something out of inRing. */
  freed(peer: number): void;
  /** null while the peer is there, else what became of it. */
  gone(peer: number): { readonly died: boolean; readonly reason: string } | null;
  raise(raised: Raised): void;
  raised(): Raised | null;
  /** Blocks until what was written has left, at most until the deadline. */
  leave(): void;
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

const headerUnits = 3;
const frame = { inline: 1, pointer: 2, call: 3 } as const;
/** Shorter messages are copied twice sooner than announced and awaited. */
const minPointerBytes = 2048;
/** Tags of barriers are negative. */
const barrierTag = -1;

interface Outgoing extends Pending {
  readonly type: number;
  readonly data: Uint8Array;
  readonly address: number;
  slot: number;
  written: number;
  started: boolean;
  done: boolean;
}

interface Incoming {
  readonly tag: number;
  readonly type: number;
  readonly length: number;
  readonly slot: number;
  readonly address: number;
  target: Uint8Array | null;
  got: number;
}

/** The one receive that this rank is blocked in. */
interface Expected {
  readonly from: number;
  readonly tag: number;
  readonly into: Uint8Array;
  done: boolean;
}

export class StreamTransport implements Transport {
  readonly kind: "threads" | "tcp";
  readonly rank: number;
  readonly numRanks: number;
  readonly traffic: TransportTraffic = { sentBytes: 0, sentMessages: 0, directBytes: 0 };
  readonly shared: SharedRegions | null;
  readonly native = null;
  private readonly endpoint: StreamEndpoint;
  private readonly options: TransportOptions;
  private readonly watch = new CollectiveWatch();
  private readonly queues: Outgoing[][];
  private readonly arriving: (Incoming | null)[];
  private readonly kept: Incoming[][];
  private expected: Expected | null = null;
  private numQueued = 0;
  private isClosed = false;
  private failed: TransportError | null = null;

  constructor(
    endpoint: StreamEndpoint,
    options: TransportOptions,
    shared: ((waits: StreamTransport) => SharedRegions) | null,
  ) {
    this.kind = endpoint.kind;
    this.rank = endpoint.rank;
    this.numRanks = endpoint.numRanks;
    this.endpoint = endpoint;
    this.options = options;
    this.queues = Array.from({ length: this.numRanks }, () => []);
    this.arriving = Array.from({ length: this.numRanks }, () => null);
    this.kept = Array.from({ length: this.numRanks }, () => []);
    this.shared = shared === null ? null : shared(this);
  }

  enter(call: CollectiveCall | null): void {
    this.watch.enter(call);
  }

  post(to: number, tag: number, data: Uint8Array): Pending {
    assert(to !== this.rank && to >= 0 && to < this.numRanks, `rank ${this.rank} posts to another rank than ${to}`);
    this.checkOpen();
    this.traffic.sentBytes += data.byteLength;
    this.traffic.sentMessages += 1;
    return this.enqueue(to, tag, data, frame.inline);
  }

  private enqueue(to: number, tag: number, data: Uint8Array, type: number): Outgoing {
    const { pointers } = this.endpoint;
    const byAddress =
      type === frame.inline &&
      pointers !== null &&
      data.byteLength >= minPointerBytes &&
      data.buffer === pointers.bytes.buffer &&
      data.byteOffset % 4 === 0;
    const slot = byAddress ? pointers.take() : -1;
    const message: Outgoing = {
      to,
      tag,
      type: slot >= 0 ? frame.pointer : type,
      data,
      address: data.byteOffset,
      slot,
      written: 0,
      started: false,
      done: false,
    };
    this.queues[to]!.push(message);
    this.numQueued += 1;
    this.pump(to);
    return message;
  }

  wait(pending: Pending): void {
    // post() of this transport made it.
    const message = pending as Outgoing;
    if (this.isSettled(message)) return;
    this.block("wait", message.to, () => this.isSettled(message));
  }

  private isSettled(message: Outgoing): boolean {
    if (!message.done) return false;
    return message.slot < 0 || this.endpoint.pointers!.isFree(message.slot);
  }

  receive(from: number, tag: number, into: Uint8Array): void {
    assert(
      from !== this.rank && from >= 0 && from < this.numRanks,
      `rank ${this.rank} receives from another rank than ${from}`,
    );
    this.checkOpen();
    const kept = this.kept[from]!;
    const index = kept.findIndex((each) => each.tag === tag);
    if (index >= 0) {
      const message = kept[index]!;
      this.checkLength(from, tag, message.length, into.byteLength);
      if (!isWhole(message)) this.block("receive", from, () => isWhole(message));
      kept.splice(kept.indexOf(message), 1);
      if (message.type === frame.pointer) this.copyPointer(from, message, into);
      else into.set(message.target!);
      return;
    }
    const expected: Expected = { from, tag, into, done: false };
    this.expected = expected;
    this.drain(from);
    if (!expected.done) this.block("receive", from, () => expected.done);
    this.expected = null;
  }

  /** Dissemination: in round k everybody hears of 2^k more. */
  barrier(): void {
    for (let distance = 1, round = 0; distance < this.numRanks; distance *= 2, round++) {
      const to = (this.rank + distance) % this.numRanks;
      const from = (this.rank + this.numRanks - distance) % this.numRanks;
      this.enqueue(to, barrierTag - round, empty, frame.inline);
      this.receive(from, barrierTag - round, empty);
    }
  }

  abort(reason: string): void {
    this.endpoint.raise({
      kind: "aborted",
      rank: this.rank,
      peer: this.rank,
      detail: `Rank ${this.rank} gave up: ${reason}`,
    });
  }

  close(): void {
    if (this.isClosed) return;
    if (this.failed === null && this.endpoint.raised() === null) {
      for (let to = 0; to < this.numRanks; to++) {
        const queue = this.queues[to]!;
        const last = queue[queue.length - 1];
        if (last !== undefined && this.endpoint.gone(to) === null) this.wait(last);
      }
    }
    this.isClosed = true;
    this.endpoint.leave();
  }

  /** Blocks until `ready`; whoever else waits in this transport (SharedRegions) uses it too. `peer` is who is waited for. */
  block(op: string, peer: number, ready: () => boolean, met = false): void {
    const { timeoutMs, compareAfterMs } = this.options;
    const sliceMs = Math.max(1, Math.min(compareAfterMs / 2, timeoutMs / 4, 100));
    let nextCompareMs = compareAfterMs;
    this.endpoint.bell.waitUntil(
      () => {
        this.progress();
        if (ready()) return true;
        this.giveUp(op, peer, ready);
        return false;
      },
      sliceMs,
      (waitedMs) => {
        this.progress();
        if (ready()) return;
        this.giveUp(op, peer, ready);
        if (waitedMs >= nextCompareMs) {
          nextCompareMs += 5 * compareAfterMs;
          this.tellCall(met);
        }
        if (waitedMs >= timeoutMs) this.timeout(op, peer);
      },
    );
  }

  private timeout(op: string, peer: number): never {
    const at = { rank: this.rank, peer, op, collective: this.place(), timeoutMs: this.options.timeoutMs };
    this.fail("timeout", op, peer, timeoutText(at));
  }

  /** Throws when nothing that is waited for can come any more. */
  private giveUp(op: string, peer: number, ready: () => boolean): void {
    const raised = this.endpoint.raised();
    if (raised !== null) {
      this.failed = errorOf(raised, this.rank, op, this.place());
      throw this.failed;
    }
    for (let other = 0; other < this.numRanks; other++) {
      const gone = other === this.rank ? null : this.endpoint.gone(other);
      if (gone === null || (!gone.died && other !== peer)) continue;
      // What it sent before it left may still lie here.
      this.progress();
      if (ready()) return;
      const at = { rank: this.rank, gone: other, ...gone, waitedFor: peer, op, collective: this.place() };
      this.fail("peerDied", op, other, goneText(at));
    }
  }

  private fail(kind: TransportFailure, op: string, peer: number, detail: string): never {
    this.endpoint.raise({ kind, rank: this.rank, peer, detail });
    // Another rank may have been first: its reason counts everywhere.
    const raised = this.endpoint.raised() ?? { kind, rank: this.rank, peer, detail };
    this.failed = errorOf(raised, this.rank, op, this.place());
    throw this.failed;
  }

  private place(): string | null {
    return this.watch.current === null ? null : describeCall(this.watch.current);
  }

  private checkOpen(): void {
    assert(!this.isClosed, `rank ${this.rank} uses its transport before it closes it`);
    if (this.failed !== null) throw this.failed;
    if (this.endpoint.raised() !== null) this.giveUp("post", this.rank, () => false);
  }

  private checkLength(from: number, tag: number, length: number, wanted: number): void {
    if (length === wanted) return;
    const at = { rank: this.rank, from, tag, sentBytes: length, expectedBytes: wanted, collective: this.place() };
    this.fail("mismatch", "receive", from, lengthText(at));
  }

  /** Sends this rank's call to the others of its group. @param met they are known to differ. */
  tellCall(met: boolean): void {
    const call = this.watch.current;
    if (call === null) return;
    const text = new TextEncoder().encode(JSON.stringify({ ...call, met }));
    for (const peer of call.group)
      if (peer !== this.rank && this.endpoint.gone(peer) === null) this.enqueue(peer, 0, text, frame.call);
  }

  private hearCall(from: number, text: Uint8Array): void {
    // tellCall() of this class wrote it.
    const call = JSON.parse(new TextDecoder().decode(text)) as CollectiveCall & { readonly met: boolean };
    const difference = this.watch.compare(this.rank, from, call, call.met);
    if (difference !== null) this.fail("mismatch", "compare", from, difference);
  }

  private progress(): void {
    if (this.numQueued > 0) for (let to = 0; to < this.numRanks; to++) this.pump(to);
    for (let from = 0; from < this.numRanks; from++) this.drain(from);
  }

  /** Writes what is queued for a rank, as far as there is space. */
  private pump(to: number): void {
    const queue = this.queues[to]!;
    if (queue.length === 0) return;
    const ring = this.endpoint.outRing(to);
    let wrote = false;
    while (queue.length > 0) {
      const message = queue[0]!;
      let free = ring.free();
      if (!message.started) {
        if (free < headerUnits) break;
        ring.writeWord(0, message.type);
        ring.writeWord(1, message.tag);
        ring.writeWord(2, message.data.byteLength);
        ring.writeWord(3, message.slot);
        ring.writeWord(4, message.slot >= 0 ? message.address >>> 2 : 0);
        ring.writeWord(5, 0);
        message.started = true;
        free -= headerUnits;
        const length = message.slot >= 0 ? 0 : Math.min(free * 8, message.data.byteLength);
        ring.write(headerUnits, message.data, 0, length);
        message.written = length;
        ring.advance(headerUnits + unitsOf(length));
        wrote = true;
      } else {
        if (free === 0) break;
        const length = Math.min(free * 8, message.data.byteLength - message.written);
        ring.write(0, message.data, message.written, length);
        message.written += length;
        ring.advance(unitsOf(length));
        wrote = true;
      }
      if (message.slot < 0 && message.written < message.data.byteLength) break;
      message.done = true;
      queue.shift();
      this.numQueued -= 1;
    }
    if (wrote) this.endpoint.wrote(to);
  }

  /** Takes in what has arrived from a rank. */
  private drain(from: number): void {
    if (from === this.rank) return;
    const ring = this.endpoint.inRing(from);
    let filled = ring.filled();
    if (filled === 0) return;
    while (filled > 0) {
      let message = this.arriving[from] ?? null;
      if (message === null) {
        if (filled < headerUnits) break;
        message = this.begin(from, ring);
        ring.release(headerUnits);
        filled -= headerUnits;
        if (message.type !== frame.pointer && message.length > 0) this.arriving[from] = message;
        else if (message.type === frame.call) continue;
      }
      if (this.arriving[from] === message) {
        const length = Math.min(filled * 8, message.length - message.got);
        if (length === 0) break;
        ring.read(0, message.target!, message.got, length);
        message.got += length;
        ring.release(unitsOf(length));
        filled -= unitsOf(length);
        if (message.got < message.length) break;
        this.arriving[from] = null;
        if (message.type === frame.call) {
          this.endpoint.freed(from);
          this.hearCall(from, message.target!);
          continue;
        }
      }
      const { expected } = this;
      if (expected !== null && message.target === expected.into && expected.from === from) expected.done = true;
      filled = ring.filled();
    }
    this.endpoint.freed(from);
  }

  /** Reads a header and decides where the bytes go: to whoever waits for them, else aside. */
  private begin(from: number, ring: ByteRing): Incoming {
    const message: Incoming = {
      type: ring.readWord(0),
      tag: ring.readWord(1),
      length: ring.readWord(2),
      slot: ring.readWord(3),
      address: (ring.readWord(4) >>> 0) * 4,
      target: null,
      got: 0,
    };
    if (message.type === frame.call) {
      message.target = new Uint8Array(message.length);
      return message;
    }
    assert(
      message.type === frame.inline || message.type === frame.pointer,
      `a message of kind ${message.type} from rank ${from}`,
    );
    const { expected } = this;
    if (
      expected !== null &&
      !expected.done &&
      expected.from === from &&
      expected.tag === message.tag &&
      !this.isFilling(expected)
    ) {
      this.checkLength(from, message.tag, message.length, expected.into.byteLength);
      message.target = expected.into;
      if (message.type === frame.pointer) this.copyPointer(from, message, expected.into);
    } else {
      if (message.type === frame.inline) message.target = new Uint8Array(message.length);
      this.kept[from]!.push(message);
    }
    return message;
  }

  private isFilling(expected: Expected): boolean {
    return this.arriving[expected.from]?.target === expected.into;
  }

  private copyPointer(from: number, message: Incoming, into: Uint8Array): void {
    const { pointers } = this.endpoint;
    assert(pointers !== null, "addresses travel only between ranks that share memory");
    into.set(pointers.bytes.subarray(message.address, message.address + message.length));
    pointers.free(from, message.slot);
  }
}

const empty = new Uint8Array(0);

function unitsOf(numBytes: number): number {
  return (numBytes + 7) >> 3;
}

function isWhole(message: Incoming): boolean {
  return message.type === frame.pointer || message.got === message.length;
}
