// Meetings of ranks that share memory. Each ordered pair has a counter: in every meeting and every parting a rank counts up towards each peer and waits until
// each peer has counted up towards it. That works for any overlapping groups, as long as two ranks come to their common collectives in the same order;
// the fingerprints that they publish say whether they did.

import type { WasmMemory } from "../../webAssembly.ts";
import type { SharedRegions } from "../contract.ts";
import type { Doorbell } from "../doorbell.ts";
import type { StreamTransport } from "../streamTransport.ts";
import { rankWord, type ThreadLayout } from "./threadWorld.ts";

export class ThreadRegions implements SharedRegions {
  readonly memory: WasmMemory;
  private readonly buffer: ArrayBufferLike;
  private readonly transport: StreamTransport;
  private readonly layout: ThreadLayout;
  private readonly bells: readonly Doorbell[];
  /** Meetings and partings so far with each rank. */
  private readonly counts: Int32Array;

  constructor(transport: StreamTransport, layout: ThreadLayout, bells: readonly Doorbell[], memory: WasmMemory) {
    this.memory = memory;
    this.buffer = memory.buffer;
    this.transport = transport;
    this.layout = layout;
    this.bells = bells;
    this.counts = new Int32Array(transport.numRanks);
  }

  addressOf(view: Float32Array): number {
    return view.buffer === this.buffer ? view.byteOffset : -1;
  }

  meet(peers: readonly number[], fingerprint: number, address: number, offsets: readonly number[] | null): void {
    const { rank } = this.transport;
    const { words } = this.layout;
    const own = this.layout.rankAt(rank);
    Atomics.store(words, own + rankWord.fingerprint, fingerprint);
    Atomics.store(words, own + rankWord.address, address < 0 ? -1 : address >>> 2);
    if (offsets !== null)
      for (let i = 0; i < peers.length; i++) Atomics.store(words, this.layout.offsetAt(rank, peers[i]!), offsets[i]!);
    this.together(peers, "meet");
    for (const peer of peers) {
      if (peer === rank) continue;
      if (Atomics.load(words, this.layout.rankAt(peer) + rankWord.fingerprint) === fingerprint) continue;
      // The peer is in another collective: tell it this one; whoever hears the other first puts both into words.
      this.transport.tellCall(true);
      this.transport.block("meet", peer, () => false, true);
    }
  }

  address(rank: number): number {
    const units = this.layout.words[this.layout.rankAt(rank) + rankWord.address]!;
    return units === -1 ? -1 : (units >>> 0) * 4;
  }

  offsetFrom(rank: number): number {
    return this.layout.words[this.layout.offsetAt(rank, this.transport.rank)]!;
  }

  part(peers: readonly number[]): void {
    this.together(peers, "part");
  }

  private together(peers: readonly number[], op: string): void {
    const { rank } = this.transport;
    const { words } = this.layout;
    for (const peer of peers) {
      if (peer === rank) continue;
      this.counts[peer]! += 1;
      Atomics.add(words, this.layout.meetingAt(rank, peer), 1);
      this.bells[peer]!.ring();
    }
    for (const peer of peers) {
      if (peer === rank) continue;
      const at = this.layout.meetingAt(peer, rank);
      const wanted = this.counts[peer]!;
      if (((Atomics.load(words, at) - wanted) | 0) >= 0) continue;
      this.transport.block(op, peer, () => ((Atomics.load(words, at) - wanted) | 0) >= 0);
    }
  }
}
