// Ranks as processes, on one machine or several, over TCP. Rank 0 listens at host:port and the others find it there; every pair has a connection. A
// thread does the I/O (ioThread.ts), so the rank can block in a wait without starving its connections.

import { Worker } from "node:worker_threads";
import { InputError } from "@meshwright/core/units";
import { defaultTransportOptions, type Transport, type TransportOptions } from "../contract.ts";
import { Doorbell } from "../doorbell.ts";
import { StreamTransport } from "../streamTransport.ts";
import type { IoThreadData } from "./ioThread.ts";
import type { RendezvousOptions } from "./rendezvous.ts";
import { TcpBlock, tcpWord } from "./tcpBlock.ts";

/** Built, a worker starts as JavaScript; from the sources (whose address a loader may have marked) it needs a loader. */
const ioThread = new URL(import.meta.url).pathname.endsWith(".ts")
  ? new URL("./ioThread.fixture.mjs", import.meta.url)
  : new URL("./ioThread.js", import.meta.url);

export interface TcpOptions extends Omit<RendezvousOptions, "timeoutMs"> {
  readonly options?: Partial<TransportOptions>;
  /** How long ranks wait for each other at the start. */
  readonly connectTimeoutMs?: number;
  /** The program of the I/O thread, where a test knows a faster one. */
  readonly ioThread?: URL;
}

/**
 * Connects this process to all others of the run. Resolves when all are connected.
 *
 * @throws InputError when ranks do not find each other.
 */
export async function connectTcp(at: TcpOptions): Promise<Transport> {
  const { rank, numRanks, host, port, job } = at;
  const options: TransportOptions = { ...defaultTransportOptions, ...at.options };
  const block = new TcpBlock(numRanks);
  const { words } = block;
  const data: IoThreadData = {
    memory: block.memory,
    at: {
      ...{ rank, numRanks, host, port, job, timeoutMs: at.connectTimeoutMs ?? 60_000 },
      ...(at.facts === undefined ? {} : { facts: at.facts }),
      ...(at.ranksPerHost === undefined ? {} : { ranksPerHost: at.ranksPerHost }),
    },
    heartbeatTimeoutMs: options.heartbeatTimeoutMs,
  };
  const worker = new Worker(at.ioThread ?? ioThread, { workerData: data });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", ({ failure }: { readonly failure?: string }) => {
      if (failure === undefined) resolve();
      else reject(new InputError({ path: "transport", message: failure }));
    });
    worker.once("error", reject);
  });
  worker.unref();
  const bell = new Doorbell(words, tcpWord.rankBell);
  const ioBell = { ring: () => ringAlways(words, tcpWord.ioBell) };
  return new StreamTransport(
    {
      kind: "tcp",
      rank,
      numRanks,
      bell,
      outRing: (peer) => block.outRings[peer]!,
      inRing: (peer) => block.inRings[peer]!,
      wrote: () => ioBell.ring(),
      freed: (peer) => {
        if (block.wantsSpace(peer)) ioBell.ring();
      },
      gone: (peer) => block.gone(peer),
      raise: (raised) => {
        if (block.raise(raised)) ioBell.ring();
      },
      raised: () => block.raised(),
      leave: () => {
        Atomics.store(words, tcpWord.leaving, 1);
        ioBell.ring();
        const untilMs = performance.now() + Math.min(5000, options.timeoutMs);
        let seen = Atomics.load(words, tcpWord.rankBell);
        while (Atomics.load(words, tcpWord.left) === 0 && performance.now() < untilMs) {
          Atomics.wait(words, tcpWord.rankBell, seen, 20);
          seen = Atomics.load(words, tcpWord.rankBell);
        }
      },
      pointers: null,
    },
    options,
    null,
  );
}

/** The I/O thread sleeps in its event loop, so no flag says whether it does. */
function ringAlways(words: Int32Array, index: number): void {
  Atomics.add(words, index, 1);
  Atomics.notify(words, index);
}
