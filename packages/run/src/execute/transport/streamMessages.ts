// Messages over byte rings: how the bytes of a rank's messages get to and from its peers. A message is a header and its bytes; what lies in memory that
// all ranks share goes as an address, and the receiver copies it in place. A call is a message too: a text about the sender,
// heard whenever it comes.
//
// Nothing here blocks or fails by itself. post() queues a message and writes what fits; expect() names the one message that the rank wants next; whoever
// waits calls progress(), which goes on writing what is queued and takes in whatever has arrived, then asks isSettled() or looks at the receipt. Messages
// that nobody wants yet are kept.

import { assert } from "@meshwright/core/units";
import type { ByteRing } from "./byteRing.ts";
import type { Pending } from "./contract.ts";
import type { MessageRings } from "./streamEndpoint.ts";

/** What only the owner of the messages can judge; either may throw. */
export interface MessageEvents {
  /** The message that is wanted has another length than the receiver's view. */
  lengthDiffers(from: number, tag: number, sentBytes: number, expectedBytes: number): never;
  /** A peer has told its call: the text it gave to tellCall(). */
  heardCall(from: number, text: Uint8Array): void;
}

/** The message that this rank wants, of one (from, tag). */
export interface Receipt {
  /** It lies in the receiver's view. */
  readonly done: boolean;
}

const headerUnits = 3;
const frame = { inline: 1, pointer: 2, call: 3 } as const;
/** Shorter messages are copied twice sooner than announced and awaited. */
const minPointerBytes = 2048;

interface Outgoing extends Pending {
  readonly type: number;
  readonly data: Uint8Array;
  readonly address: number;
  readonly slot: number;
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

interface Expected extends Receipt {
  readonly from: number;
  readonly tag: number;
  readonly into: Uint8Array;
  /** Null until its header is here. */
  message: Incoming | null;
  done: boolean;
}

export class StreamMessages {
  private readonly rings: MessageRings;
  private readonly rank: number;
  private readonly numRanks: number;
  private readonly events: MessageEvents;
  private readonly queues: Outgoing[][];
  private readonly arriving: (Incoming | null)[];
  /** Came, or began to come, before anybody wanted them. */
  private readonly kept: Incoming[][];
  private expected: Expected | null = null;
  private numQueued = 0;

  constructor(rings: MessageRings, events: MessageEvents) {
    const { rank, numRanks } = rings;
    this.rings = rings;
    this.rank = rank;
    this.numRanks = numRanks;
    this.events = events;
    this.queues = Array.from({ length: numRanks }, () => []);
    this.arriving = Array.from({ length: numRanks }, () => null);
    this.kept = Array.from({ length: numRanks }, () => []);
  }

  post(to: number, tag: number, data: Uint8Array): Pending {
    const { pointers } = this.rings;
    const byAddress =
      pointers !== null &&
      data.byteLength >= minPointerBytes &&
      data.buffer === pointers.bytes.buffer &&
      data.byteOffset % 4 === 0;
    const slot = byAddress ? pointers.take() : -1;
    return this.enqueue(to, tag, data, slot >= 0 ? frame.pointer : frame.inline, slot);
  }

  /** The peer hears of it as soon as it looks for any message. */
  tellCall(to: number, text: Uint8Array): void {
    this.enqueue(to, 0, text, frame.call, -1);
  }

  private enqueue(to: number, tag: number, data: Uint8Array, type: number, slot: number): Outgoing {
    const address = data.byteOffset;
    const message: Outgoing = { to, tag, type, data, address, slot, written: 0, started: false, done: false };
    this.queues[to]!.push(message);
    this.numQueued += 1;
    this.pump(to);
    return message;
  }

  /** The bytes of a posted message may change. */
  isSettled(pending: Pending): boolean {
    // post() of this class made it.
    const message = pending as Outgoing;
    if (!message.done) return false;
    return message.slot < 0 || this.rings.pointers!.isFree(message.slot);
  }

  /** The last message to a rank that is not written yet, or null when all are. */
  lastQueued(to: number): Pending | null {
    return this.queues[to]!.at(-1) ?? null;
  }

  /** Wants the next message of (from, tag) in `into`; one message is wanted at a time. */
  expect(from: number, tag: number, into: Uint8Array): Receipt {
    const message = this.kept[from]!.find((each) => each.tag === tag) ?? null;
    const expected: Expected = { from, tag, into, message, done: false };
    this.expected = expected;
    if (message === null) this.drain(from);
    else {
      this.checkLength(from, message, into);
      if (isWhole(message)) this.finish(expected, message);
    }
    return expected;
  }

  progress(): void {
    if (this.numQueued > 0) for (let to = 0; to < this.numRanks; to++) this.pump(to);
    for (let from = 0; from < this.numRanks; from++) this.drain(from);
  }

  /** Writes what is queued for a rank, as far as there is space. */
  private pump(to: number): void {
    const queue = this.queues[to]!;
    if (queue.length === 0) return;
    const ring = this.rings.outRing(to);
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
    if (wrote) this.rings.wrote(to);
  }

  /** Takes in what has arrived from a rank. */
  private drain(from: number): void {
    if (from === this.rank) return;
    const ring = this.rings.inRing(from);
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
          this.rings.freed(from);
          this.events.heardCall(from, message.target!);
          continue;
        }
      }
      const { expected } = this;
      if (expected !== null && expected.message === message) this.finish(expected, message);
      filled = ring.filled();
    }
    this.rings.freed(from);
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
    if (expected !== null && expected.message === null && expected.from === from && expected.tag === message.tag) {
      this.checkLength(from, message, expected.into);
      expected.message = message;
      message.target = expected.into;
    } else {
      if (message.type === frame.inline) message.target = new Uint8Array(message.length);
      this.kept[from]!.push(message);
    }
    return message;
  }

  /** The wanted message is whole: puts it where it is wanted, unless it came there. */
  private finish(expected: Expected, message: Incoming): void {
    const { from, into } = expected;
    const wasKept = message.target !== into;
    if (message.type === frame.pointer) this.copyPointer(from, message, into);
    else if (wasKept) into.set(message.target!);
    if (wasKept) this.kept[from]!.splice(this.kept[from]!.indexOf(message), 1);
    expected.done = true;
    this.expected = null;
  }

  private checkLength(from: number, message: Incoming, into: Uint8Array): void {
    if (message.length !== into.byteLength)
      this.events.lengthDiffers(from, message.tag, message.length, into.byteLength);
  }

  private copyPointer(from: number, message: Incoming, into: Uint8Array): void {
    const { pointers } = this.rings;
    assert(pointers !== null, "addresses travel only between ranks that share memory");
    into.set(pointers.bytes.subarray(message.address, message.address + message.length));
    pointers.free(from, message.slot);
  }
}

function unitsOf(numBytes: number): number {
  return (numBytes + 7) >> 3;
}

function isWhole(message: Incoming): boolean {
  return message.type === frame.pointer || message.got === message.length;
}
