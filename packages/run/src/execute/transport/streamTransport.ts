// The transport of threads (a ring between any two ranks) and of TCP (rings between a rank and the thread that does its I/O): posting, waiting and
// receiving over messages (streamMessages.ts), and every way in which a wait ends.
//
// Every wait goes on writing what is queued and takes in whatever arrives, so two ranks that send to each other never block. It sleeps on this rank's bell
// in slices; between them it looks whether what it waits for can still come (giveUp()), tells its collective call to the group when it has waited for a
// while, so that ranks in different collectives are found, and ends at the deadline.

import { assert } from "@meshwright/core/units";
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
import { goneText, lengthText, timeoutText } from "./failureText.ts";
import { errorOf } from "./raised.ts";
import type { StreamEndpoint } from "./streamEndpoint.ts";
import { StreamMessages } from "./streamMessages.ts";

/** Tags of barriers are negative. */
const barrierTag = -1;

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
  private readonly messages: StreamMessages;
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
    this.messages = new StreamMessages(endpoint, {
      lengthDiffers: (from, tag, sentBytes, expectedBytes) => this.lengthDiffers(from, tag, sentBytes, expectedBytes),
      heardCall: (from, text) => this.hearCall(from, text),
    });
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
    return this.messages.post(to, tag, data);
  }

  wait(pending: Pending): void {
    if (this.messages.isSettled(pending)) return;
    this.block("wait", pending.to, () => this.messages.isSettled(pending));
  }

  receive(from: number, tag: number, into: Uint8Array): void {
    assert(
      from !== this.rank && from >= 0 && from < this.numRanks,
      `rank ${this.rank} receives from another rank than ${from}`,
    );
    this.checkOpen();
    const receipt = this.messages.expect(from, tag, into);
    if (!receipt.done) this.block("receive", from, () => receipt.done);
  }

  /** Dissemination: in round k everybody hears of 2^k more. */
  barrier(): void {
    for (let distance = 1, round = 0; distance < this.numRanks; distance *= 2, round++) {
      const to = (this.rank + distance) % this.numRanks;
      const from = (this.rank + this.numRanks - distance) % this.numRanks;
      this.messages.post(to, barrierTag - round, empty);
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
        const last = this.messages.lastQueued(to);
        if (last !== null && this.endpoint.gone(to) === null) this.wait(last);
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
        this.messages.progress();
        if (ready()) return true;
        this.giveUp(op, peer, ready);
        return false;
      },
      sliceMs,
      (waitedMs) => {
        this.messages.progress();
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
      this.messages.progress();
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

  private lengthDiffers(from: number, tag: number, sentBytes: number, expectedBytes: number): never {
    const at = { rank: this.rank, from, tag, sentBytes, expectedBytes, collective: this.place() };
    this.fail("mismatch", "receive", from, lengthText(at));
  }

  /** Sends this rank's call to the others of its group. @param met they are known to differ. */
  tellCall(met: boolean): void {
    const call = this.watch.current;
    if (call === null) return;
    const text = new TextEncoder().encode(JSON.stringify({ ...call, met }));
    for (const peer of call.group)
      if (peer !== this.rank && this.endpoint.gone(peer) === null) this.messages.tellCall(peer, text);
  }

  private hearCall(from: number, text: Uint8Array): void {
    // tellCall() of this class wrote it.
    const call = JSON.parse(new TextDecoder().decode(text)) as CollectiveCall & { readonly met: boolean };
    const difference = this.watch.compare(this.rank, from, call, call.met);
    if (difference !== null) this.fail("mismatch", "compare", from, difference);
  }
}

const empty = new Uint8Array(0);
