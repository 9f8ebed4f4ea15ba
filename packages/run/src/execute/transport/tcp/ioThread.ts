// The I/O thread of a TCP rank: carries bytes between its rings and its sockets, so that the rank itself can block. It knows nothing of messages.
//
// On the wire, chunks of an 8-byte head (type, length) and bytes: data, signs of life, the reason why a run ends, and goodbye. A connection that ends without
// goodbye, or is silent for too long, means that the peer has died.

import type { Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { Doorbell } from "../doorbell.ts";
import type { Raised } from "../raised.ts";
import { type RendezvousOptions, rendezvous } from "./rendezvous.ts";
import { TcpBlock, tcpWord } from "./tcpBlock.ts";

export interface IoThreadData {
  readonly memory: SharedArrayBuffer;
  readonly at: RendezvousOptions;
  readonly heartbeatTimeoutMs: number;
}

const chunk = { data: 1, alive: 2, raised: 3, goodbye: 4 } as const;
const headBytes = 8;
const maxChunkBytes = 256 * 2 ** 10;

class Peer {
  private readonly rank: number;
  private readonly socket: Socket;
  private readonly block: TcpBlock;
  private readonly rankBell: Doorbell;
  /** Bytes that have come but not yet been taken apart. */
  private unread: Buffer = Buffer.alloc(0);
  private chunkType = 0;
  private chunkLeft = 0;
  private raisedText: Buffer[] = [];
  private isWriting = false;
  private saidGoodbye = false;
  private heardGoodbye = false;
  lastHeardMs = Date.now();

  constructor(rank: number, socket: Socket, block: TcpBlock, rankBell: Doorbell) {
    this.rank = rank;
    this.socket = socket;
    this.block = block;
    this.rankBell = rankBell;
    socket.setNoDelay(true);
    socket.on("data", (data: Buffer) => this.onData(data));
    socket.on("error", (error: Error) => this.lost(error.message));
    socket.on("close", () => this.lost("its connection closed"));
    socket.resume();
  }

  private lost(reason: string): void {
    if (!this.heardGoodbye && this.block.gone(this.rank) === null) this.block.setGone(this.rank, true, reason);
    this.rankBell.ring();
  }

  /** Sends what lies in the ring. */
  pump(): void {
    if (this.isWriting || this.saidGoodbye || this.socket.destroyed) return;
    const ring = this.block.outRings[this.rank]!;
    const filled = ring.filledView();
    if (filled.byteLength === 0) return;
    const bytes = filled.subarray(0, Math.min(filled.byteLength, maxChunkBytes));
    this.isWriting = true;
    this.socket.cork();
    this.socket.write(head(chunk.data, bytes.byteLength));
    this.socket.write(bytes, (error) => {
      this.isWriting = false;
      if (error) return;
      ring.release(bytes.byteLength / 8);
      this.rankBell.ring();
      this.pump();
    });
    this.socket.uncork();
  }

  /** Takes in what did not fit before. */
  refill(): void {
    if (this.unread.byteLength > 0) this.onData(Buffer.alloc(0));
  }

  private onData(data: Buffer): void {
    this.lastHeardMs = Date.now();
    let bytes = this.unread.byteLength === 0 ? data : Buffer.concat([this.unread, data]);
    let changed = false;
    for (;;) {
      if (this.chunkLeft === 0) {
        if (bytes.byteLength < headBytes) break;
        this.chunkType = bytes.readUInt32LE(0);
        this.chunkLeft = bytes.readUInt32LE(4);
        bytes = bytes.subarray(headBytes);
        if (this.chunkType === chunk.goodbye) {
          this.heardGoodbye = true;
          this.block.setGone(this.rank, false, "");
          changed = true;
        }
        if (this.chunkLeft === 0) continue;
      }
      const taken = this.chunkType === chunk.data ? this.takeData(bytes) : this.takeText(bytes);
      if (taken === 0) break;
      changed = true;
      bytes = bytes.subarray(taken);
      this.chunkLeft -= taken;
      if (this.chunkLeft === 0 && this.chunkType === chunk.raised) this.hearRaised();
    }
    // A copy: the socket's buffer is only lent.
    this.unread = bytes.byteLength === 0 ? Buffer.alloc(0) : Buffer.from(bytes);
    const isFull = this.unread.byteLength > headBytes;
    this.block.wantSpace(this.rank, isFull);
    if (isFull) this.socket.pause();
    else if (this.socket.isPaused()) this.socket.resume();
    if (changed) this.rankBell.ring();
  }

  /** Moves whole units into the ring, as many as fit. */
  private takeData(bytes: Buffer): number {
    const ring = this.block.inRings[this.rank]!;
    const units = Math.min(Math.floor(Math.min(bytes.byteLength, this.chunkLeft) / 8), ring.free());
    if (units === 0) return 0;
    ring.write(0, bytes, 0, units * 8);
    ring.advance(units);
    return units * 8;
  }

  private takeText(bytes: Buffer): number {
    const taken = Math.min(bytes.byteLength, this.chunkLeft);
    this.raisedText.push(Buffer.from(bytes.subarray(0, taken)));
    return taken;
  }

  private hearRaised(): void {
    // raised() of a peer's block, as text.
    this.block.raise(JSON.parse(Buffer.concat(this.raisedText).toString("utf8")) as Raised);
    this.rankBell.ring();
  }

  say(type: number, text: string): void {
    if (this.saidGoodbye || this.socket.destroyed) return;
    const bytes = Buffer.from(text, "utf8");
    this.socket.write(Buffer.concat([head(type, bytes.byteLength), bytes]));
  }

  checkAlive(heartbeatTimeoutMs: number): void {
    const silentMs = Date.now() - this.lastHeardMs;
    // What waits for space here is no silence.
    if (silentMs < heartbeatTimeoutMs || this.heardGoodbye || this.socket.isPaused()) return;
    this.lost(`no sign of life for ${(silentMs / 1000).toFixed(1)} s`);
    this.socket.destroy();
  }

  /** Whether everything that the rank wrote has left. */
  isFlushed(): boolean {
    return this.socket.destroyed || (!this.isWriting && this.block.outRings[this.rank]!.filled() === 0);
  }

  goodbye(): Promise<void> {
    if (this.socket.destroyed || this.saidGoodbye) return Promise.resolve();
    this.say(chunk.goodbye, "");
    this.saidGoodbye = true;
    return new Promise((resolve) => {
      this.socket.end(() => resolve());
      this.socket.once("close", () => resolve());
    });
  }
}

function head(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(headBytes);
  bytes.writeUInt32LE(type, 0);
  bytes.writeUInt32LE(length, 4);
  return bytes;
}

/** Resolves when the bell has been rung since `seen`. */
function rungSince(words: Int32Array, index: number, seen: number): Promise<unknown> {
  // ES2024: in Node since 16, not yet in the language library that is compiled against.
  const { waitAsync } = Atomics as unknown as {
    readonly waitAsync: (
      words: Int32Array,
      index: number,
      seen: number,
    ) => { readonly value: Promise<string> | string };
  };
  return Promise.resolve(waitAsync(words, index, seen).value);
}

async function carry({ memory, at, heartbeatTimeoutMs }: IoThreadData): Promise<void> {
  const sockets = await rendezvous(at);
  const block = new TcpBlock(at.numRanks, memory);
  const { words } = block;
  const rankBell = new Doorbell(words, tcpWord.rankBell);
  const peers = sockets.flatMap((socket, rank) => (socket === null ? [] : [new Peer(rank, socket, block, rankBell)]));
  const timer = setInterval(() => {
    for (const peer of peers) {
      peer.say(chunk.alive, "");
      peer.checkAlive(heartbeatTimeoutMs);
    }
  }, heartbeatTimeoutMs / 4);
  parentPort!.postMessage({ ready: true });
  let hasToldRaised = false;
  for (;;) {
    const seen = Atomics.load(words, tcpWord.ioBell);
    for (const peer of peers) {
      peer.pump();
      peer.refill();
    }
    const raised = block.raised();
    if (raised !== null && !hasToldRaised) {
      hasToldRaised = true;
      for (const peer of peers) peer.say(chunk.raised, JSON.stringify(raised));
    }
    if (Atomics.load(words, tcpWord.leaving) !== 0 && (raised !== null || peers.every((peer) => peer.isFlushed())))
      break;
    await Promise.race([
      rungSince(words, tcpWord.ioBell, seen),
      ...(Atomics.load(words, tcpWord.leaving) !== 0 ? [soon()] : []),
    ]);
  }
  clearInterval(timer);
  await Promise.race([
    Promise.all(peers.map((peer) => peer.goodbye())),
    new Promise((resolve) => setTimeout(resolve, 2000).unref()),
  ]);
  Atomics.store(words, tcpWord.left, 1);
  rankBell.ring();
  process.exit(0);
}

function soon(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1));
}

// tcpTransport.ts starts this file with this data.
carry(workerData as IoThreadData).catch((error: Error) => parentPort!.postMessage({ failure: error.message }));
