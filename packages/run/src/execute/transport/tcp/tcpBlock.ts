// What a rank's own thread shares with the thread that does its I/O: two bells, the fate of each peer, why the run ends, and a ring each way for each peer.
// The rank blocks on its bell; the I/O thread, which has sockets to attend to, hears its bell through Atomics.waitAsync.

import { ByteRing, ringHeadWords } from "../byteRing.ts";
import type { Raised } from "../raised.ts";

/** Words at the start. */
export const tcpWord = { rankBell: 0, ioBell: 16, leaving: 32, left: 33, raised: 34 } as const;
const peersAt = 64;
const peerWords = 64;
const textWords = 1024;
const ringsTotalBytes = 64 * 2 ** 20;

/** Words of a peer: its state, whether the I/O thread waits for space, and a short reason. */
const peerWord = { state: 0, wantsSpace: 1, reasonBytes: 2, reason: 3 } as const;
const stateCode = { there: 0, finished: 1, died: 2 } as const;

export class TcpBlock {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly outRings: readonly ByteRing[];
  readonly inRings: readonly ByteRing[];
  private readonly numRanks: number;
  private readonly bytes: Uint8Array;

  constructor(numRanks: number, memory?: SharedArrayBuffer) {
    this.numRanks = numRanks;
    const ringBytes = 2 ** Math.max(15, Math.min(20, Math.floor(Math.log2(ringsTotalBytes / (2 * numRanks)))));
    const ringWords = ringHeadWords + ringBytes / 4;
    const ringsAt = peersAt + numRanks * peerWords + 2 * textWords;
    this.memory = memory ?? new SharedArrayBuffer((ringsAt + 2 * numRanks * ringWords) * 4);
    this.words = new Int32Array(this.memory);
    this.bytes = new Uint8Array(this.memory);
    const rings = (first: number) =>
      Array.from(
        { length: numRanks },
        (_, peer) => new ByteRing(this.words, ringsAt + (first + peer) * ringWords, ringBytes),
      );
    this.outRings = rings(0);
    this.inRings = rings(numRanks);
  }

  setGone(peer: number, died: boolean, reason: string): void {
    const at = peersAt + peer * peerWords;
    const text = new TextEncoder().encode(reason).slice(0, (peerWords - peerWord.reason) * 4);
    this.bytes.set(text, (at + peerWord.reason) * 4);
    this.words[at + peerWord.reasonBytes] = text.byteLength;
    Atomics.store(this.words, at + peerWord.state, died ? stateCode.died : stateCode.finished);
  }

  gone(peer: number): { readonly died: boolean; readonly reason: string } | null {
    const at = peersAt + peer * peerWords;
    const state = Atomics.load(this.words, at + peerWord.state);
    if (state === stateCode.there) return null;
    const start = (at + peerWord.reason) * 4;
    const reason = new TextDecoder().decode(this.bytes.slice(start, start + this.words[at + peerWord.reasonBytes]!));
    return { died: state === stateCode.died, reason };
  }

  /** The I/O thread waits for space in the ring from this peer. */
  wantSpace(peer: number, wants: boolean): void {
    Atomics.store(this.words, peersAt + peer * peerWords + peerWord.wantsSpace, wants ? 1 : 0);
  }

  wantsSpace(peer: number): boolean {
    return Atomics.load(this.words, peersAt + peer * peerWords + peerWord.wantsSpace) !== 0;
  }

  /** The first reason stays, whether it comes from here or from a peer. */
  raise(raised: Raised): boolean {
    if (Atomics.compareExchange(this.words, tcpWord.raised, 0, 1) !== 0) return false;
    const detail = raised.detail.slice(0, textWords);
    const text = new TextEncoder().encode(JSON.stringify({ ...raised, detail }));
    const at = peersAt + this.numRanks * peerWords;
    this.words[at] = text.byteLength;
    this.bytes.set(text, (at + 1) * 4);
    Atomics.store(this.words, tcpWord.raised, 2);
    return true;
  }

  raised(): Raised | null {
    if (Atomics.load(this.words, tcpWord.raised) !== 2) return null;
    const at = peersAt + this.numRanks * peerWords;
    const text = this.bytes.slice((at + 1) * 4, (at + 1) * 4 + this.words[at]!);
    // raise() wrote it, here or in a peer.
    return JSON.parse(new TextDecoder().decode(text)) as Raised;
  }
}
