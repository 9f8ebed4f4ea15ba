// Ranks as MPI processes: `mpirun -n 8 npx meshwright run ...`. Messages and collectives go through the MPI of the machine, so the networks and launchers that a
// cluster has are the ones that are used.
//
// The addon waits in slices; between them this class hears control messages (calls to compare, goodbyes, the reason why a run ends) and looks at the deadline.

import { createRequire } from "node:module";
import { assert } from "@meshwright/core/units";
import { type CollectiveCall, CollectiveWatch, describeCall } from "../collectiveWatch.ts";
import {
  defaultTransportOptions,
  type NativeCollectives,
  type Pending,
  type Transport,
  type TransportError,
  type TransportFailure,
  type TransportOptions,
  type TransportTraffic,
} from "../contract.ts";
import { goneText, lengthText, timeoutText } from "../failureText.ts";
import { errorOf, type Raised } from "../raised.ts";
import { mpiAddonPath } from "./buildAddon.ts";
import { type MpiAddon, MpiCollectives, outcome } from "./mpiCollectives.ts";

/** What mpirun tells a process of itself; null outside of mpirun. */
export interface MpiPlace {
  readonly rank: number;
  readonly numRanks: number;
  /** Ranks on this machine. */
  readonly nodeSize: number;
}

/** Reads Open MPI's variables (and those of Slurm's PMIx launcher, under which Open MPI sets them too). */
export function mpiPlace(env: Readonly<Record<string, string | undefined>>): MpiPlace | null {
  const rank = Number(env["OMPI_COMM_WORLD_RANK"] ?? Number.NaN);
  const numRanks = Number(env["OMPI_COMM_WORLD_SIZE"] ?? Number.NaN);
  if (!Number.isInteger(rank) || !Number.isInteger(numRanks)) return null;
  const nodeSize = Number(env["OMPI_COMM_WORLD_LOCAL_SIZE"] ?? 1);
  return { rank, numRanks, nodeSize: Number.isInteger(nodeSize) && nodeSize > 0 ? nodeSize : 1 };
}

type Control =
  | { readonly kind: "call"; readonly call: CollectiveCall }
  | { readonly kind: "raised"; readonly raised: Raised }
  | { readonly kind: "goodbye" };

interface Sent extends Pending {
  readonly request: number;
  done: boolean;
}

/** How long a rank that has failed waits for the others, so that they can say why before mpirun ends them. */
const graceMs = 5000;

/** Builds the addon where it is not yet built. @throws InputError when MPI is not installed. */
export function mpiTransport(options: Partial<TransportOptions> = {}): Transport {
  // The addon exports what MpiAddon says (native/mpi.c).
  const addon = createRequire(import.meta.url)(mpiAddonPath()) as MpiAddon;
  return new MpiTransport(addon, { ...defaultTransportOptions, ...options });
}

class MpiTransport implements Transport {
  readonly kind = "mpi";
  readonly rank: number;
  readonly numRanks: number;
  readonly traffic: TransportTraffic = { sentBytes: 0, sentMessages: 0, directBytes: 0 };
  readonly shared = null;
  readonly native: NativeCollectives;
  private readonly addon: MpiAddon;
  private readonly options: TransportOptions;
  private readonly watch = new CollectiveWatch();
  private readonly finished = new Set<number>();
  private readonly controls: number[] = [];
  private raisedHere: Raised | null = null;
  private failed: TransportError | null = null;
  private isClosed = false;

  constructor(addon: MpiAddon, options: TransportOptions) {
    this.addon = addon;
    this.options = options;
    [this.rank, this.numRanks] = addon.init();
    this.native = new MpiCollectives(addon, (request) => this.settle("collective", -1, request));
  }

  enter(call: CollectiveCall | null): void {
    this.watch.enter(call);
    while (this.hearControl());
    this.checkOpen();
  }

  post(to: number, tag: number, data: Uint8Array): Pending {
    assert(to !== this.rank && to >= 0 && to < this.numRanks, `rank ${this.rank} posts to another rank than ${to}`);
    this.checkOpen();
    this.traffic.sentBytes += data.byteLength;
    this.traffic.sentMessages += 1;
    const sent: Sent = { to, tag, request: this.addon.post(0, to, tag, data), done: false };
    return sent;
  }

  wait(pending: Pending): void {
    // post() of this transport made it.
    const sent = pending as Sent;
    if (sent.done) return;
    this.settle("wait", sent.to, sent.request);
    sent.done = true;
  }

  receive(from: number, tag: number, into: Uint8Array): void {
    assert(
      from !== this.rank && from >= 0 && from < this.numRanks,
      `rank ${this.rank} receives from another rank than ${from}`,
    );
    this.checkOpen();
    this.block("receive", from, (seconds) => {
      const found = this.addon.receive(from, tag, into, seconds);
      if (found >= 0) {
        const at = {
          rank: this.rank,
          from,
          tag,
          sentBytes: found,
          expectedBytes: into.byteLength,
          collective: this.place(),
        };
        this.fail("mismatch", "receive", from, lengthText(at));
      }
      return found;
    });
  }

  barrier(): void {
    this.checkOpen();
    this.settle("barrier", -1, this.addon.barrier());
  }

  abort(reason: string): void {
    this.raise({ kind: "aborted", rank: this.rank, peer: this.rank, detail: `Rank ${this.rank} gave up: ${reason}` });
  }

  /**
   * MPI ends on all ranks together. After a failure that works too, unless a rank does not come: then this one leaves after a while, mpirun notices and
   * ends the others.
   */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.tellAll({ kind: "goodbye" });
    let isOrderly = this.failed === null && this.raisedHere === null;
    try {
      if (isOrderly) this.settle("close", -1, this.addon.barrier());
    } catch (error) {
      // Told to whoever was still there; this rank itself had nothing left to do.
      if (this.failed !== error) throw error;
      isOrderly = false;
    }
    if (!isOrderly && !this.hearGoodbyes()) return;
    while (this.hearControl());
    this.addon.finalize();
  }

  /** @returns whether all others have said goodbye before the time of grace was over. */
  private hearGoodbyes(): boolean {
    const untilMs = performance.now() + graceMs;
    while (this.finished.size < this.numRanks - 1) {
      if (this.hearControl()) continue;
      if (performance.now() > untilMs) return false;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
    }
    return true;
  }

  private settle(op: string, peer: number, request: number): void {
    this.block(op, peer, (seconds) => this.addon.wait(request, seconds));
  }

  /** Calls `step` until it is done; between slices, looks at what others say and at the deadline. */
  private block(op: string, peer: number, step: (seconds: number) => number): void {
    const { timeoutMs, compareAfterMs } = this.options;
    const sliceSec = Math.max(1, Math.min(compareAfterMs / 2, timeoutMs / 4, 100)) / 1000;
    let startMs = -1;
    let nextCompareMs = compareAfterMs;
    for (;;) {
      const found = step(sliceSec);
      if (found === outcome.done) return;
      const nowMs = performance.now();
      startMs = startMs < 0 ? nowMs : startMs;
      if (found === outcome.controlCame) this.hearControl();
      if (this.raisedHere !== null) this.stop(this.raisedHere, op);
      if (found !== outcome.slicePassed) continue;
      this.giveUp(op, peer, step);
      const waitedMs = nowMs - startMs;
      if (waitedMs >= nextCompareMs) {
        nextCompareMs += 5 * compareAfterMs;
        this.tellCall();
      }
      if (waitedMs >= timeoutMs) {
        const at = { rank: this.rank, peer, op, collective: this.place(), timeoutMs };
        this.fail("timeout", op, peer, timeoutText(at));
      }
    }
  }

  /** A rank that has finished sends nothing any more; what it sent before has been looked for by the last step. */
  private giveUp(op: string, peer: number, step: (seconds: number) => number): void {
    const gone = peer >= 0 ? (this.finished.has(peer) ? peer : -1) : op === "close" ? -1 : firstOf(this.finished);
    if (gone < 0 || step(0.001) === outcome.done) return;
    const at = { rank: this.rank, gone, died: false, reason: "", waitedFor: peer, op, collective: this.place() };
    this.fail("peerDied", op, gone, goneText(at));
  }

  private fail(kind: TransportFailure, op: string, peer: number, detail: string): never {
    this.raise({ kind, rank: this.rank, peer, detail });
    this.stop(this.raisedHere!, op); // raise() has set it
  }

  private stop(raised: Raised, op: string): never {
    this.failed = errorOf(raised, this.rank, op, this.place());
    throw this.failed;
  }

  private raise(raised: Raised): void {
    if (this.raisedHere !== null) return;
    this.raisedHere = raised;
    this.tellAll({ kind: "raised", raised });
  }

  private checkOpen(): void {
    assert(!this.isClosed, `rank ${this.rank} uses its transport before it closes it`);
    if (this.failed !== null) throw this.failed;
    if (this.raisedHere !== null) this.stop(this.raisedHere, "post");
  }

  private place(): string | null {
    return this.watch.current === null ? null : describeCall(this.watch.current);
  }

  private tellCall(): void {
    const call = this.watch.current;
    if (call !== null) this.tell(call.group, { kind: "call", call });
  }

  private tellAll(control: Control): void {
    this.tell(
      Array.from({ length: this.numRanks }, (_, rank) => rank),
      control,
    );
  }

  private tell(ranks: readonly number[], control: Control): void {
    const text = new TextEncoder().encode(JSON.stringify(control));
    for (const rank of ranks) if (rank !== this.rank) this.controls.push(this.addon.post(1, rank, 0, text));
  }

  /** @returns whether there was a control message. */
  private hearControl(): boolean {
    const heard = this.addon.control();
    if (heard === null) return false;
    const [from, text] = heard;
    // tell() of another rank wrote it.
    const control = JSON.parse(new TextDecoder().decode(text)) as Control;
    switch (control.kind) {
      case "goodbye":
        this.finished.add(from);
        break;
      case "raised":
        this.raisedHere ??= control.raised;
        break;
      case "call": {
        const difference = this.watch.compare(this.rank, from, control.call, false);
        if (difference !== null) this.raise({ kind: "mismatch", rank: this.rank, peer: from, detail: difference });
        break;
      }
      default:
        control satisfies never;
    }
    return true;
  }
}

function firstOf(ranks: ReadonlySet<number>): number {
  for (const rank of ranks) return rank;
  return -1;
}
