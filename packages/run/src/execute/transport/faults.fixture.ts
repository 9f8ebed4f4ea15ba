// What ranks do wrong in contract tests, and messages between two ranks. Each function runs on every rank of a world of three.

import { Communicator } from "../collectives/communicator.ts";
import type { Transport } from "./contract.ts";

const group = [0, 1, 2];

export const behaviours = {
  /** Messages of several tags and sizes, taken in another order than they were sent, in both directions at once. */
  messages(transport: Transport): string {
    const peer = transport.rank ^ 1;
    if (transport.rank > 1) return "";
    const lengths = [0, 1, 7, 8, 100, 4096, 300_001];
    const make = (from: number, length: number) =>
      Uint8Array.from({ length }, (_, i) => (i * 31 + from * 7 + length) & 255);
    const posted = lengths.map((length, tag) => transport.post(peer, tag, make(transport.rank, length)));
    let wrong = "";
    for (const [tag, length] of [...lengths.entries()].reverse()) {
      const into = new Uint8Array(length);
      transport.receive(peer, tag, into);
      const wanted = make(peer, length);
      if (into.some((value, i) => value !== wanted[i])) wrong += ` tag ${tag}`;
    }
    for (const each of posted) transport.wait(each);
    // Many small ones of one tag stay in order.
    for (let i = 0; i < 5000; i++) transport.wait(transport.post(peer, 50, Uint8Array.of(i & 255)));
    for (let i = 0; i < 5000; i++) {
      const into = new Uint8Array(1);
      transport.receive(peer, 50, into);
      if (into[0] !== (i & 255)) wrong += ` order ${i}`;
    }
    return wrong === "" ? "as sent" : wrong;
  },
  kindsDiffer(transport: Transport): void {
    const communicator = new Communicator(transport, group);
    communicator.label = "gradients";
    if (transport.rank === 1) communicator.allGather(new Float32Array(4), new Float32Array(12));
    else communicator.allReduce(new Float32Array(4), "sum");
  },
  sizesDiffer(transport: Transport): void {
    new Communicator(transport, group).allReduce(new Float32Array(transport.rank === 2 ? 5 : 4), "sum");
  },
  /** Same kind, same size: only the order differs. */
  ordersDiffer(transport: Transport): void {
    const communicator = new Communicator(transport, group);
    for (const label of transport.rank === 0 ? ["weights", "biases"] : ["biases", "weights"]) {
      communicator.label = label;
      communicator.allReduce(new Float32Array(4), "sum");
    }
  },
  /** No message ever travels: each waits for another root. */
  rootsDiffer(transport: Transport): void {
    new Communicator(transport, group).broadcast(new Float32Array(4), (transport.rank + 1) % 3);
  },
  lengthsDiffer(transport: Transport): void {
    if (transport.rank === 0) transport.wait(transport.post(1, 3, new Uint8Array(10)));
    if (transport.rank === 1) transport.receive(0, 3, new Uint8Array(12));
    transport.barrier();
  },
  /** Rank 2 is alive but never comes. */
  hangs(transport: Transport): void {
    if (transport.rank === 2) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
    new Communicator(transport, group).allReduce(new Float32Array(4), "sum");
  },
  dies(transport: Transport): void {
    const communicator = new Communicator(transport, group);
    communicator.allReduce(new Float32Array(4), "sum");
    if (transport.rank === 1) process.exit(3);
    communicator.label = "loss";
    communicator.allReduce(new Float32Array(4), "sum");
  },
  /** Rank 1 ends in good order, one collective too early. */
  leaves(transport: Transport): void {
    const communicator = new Communicator(transport, group);
    communicator.allReduce(new Float32Array(4), "sum");
    if (transport.rank === 1) return;
    communicator.allReduce(new Float32Array(4), "sum");
  },
  aborts(transport: Transport): void {
    if (transport.rank === 0) {
      transport.abort("the loss is not finite");
      return;
    }
    transport.barrier();
  },
} as const satisfies Readonly<Record<string, (transport: Transport) => unknown>>;

export type Behaviour = keyof typeof behaviours;

/** What a rank reports of a behaviour. */
export interface BehaviourReport {
  readonly value: unknown;
  readonly error: {
    readonly kind: string;
    readonly peer: number;
    readonly op: string;
    readonly message: string;
  } | null;
}
