// The board of a gradient code for ranks that share no memory: processes and MPI ranks, on one machine or several. Rank 0 starts the board (boardServer.ts) and
// tells the others where it is; each rank has a thread that talks to it (boardClient.ts). The rank itself computes and waits as on a board in shared memory.

import { randomUUID } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import { Worker } from "node:worker_threads";
import type { RankLink } from "../../engine/links.ts";
import { gatherToRoot } from "../../launch/gather.ts";
import { TransportError } from "../../transport/contract.ts";
import type { Board, CodeResult } from "../codeBoard.ts";
import type { CodeSpec } from "../gradientCodes.ts";
import type { BoardServerData } from "./boardServer.ts";
import { type BoardClientData, type ClientRequest, clientWords } from "./clientProtocol.ts";

/** Tag of the board's place, outside those of stage sends and results. */
const placeTag = 0x3fff_fff3;
const placeBytes = 4096;

const threadUrl = (name: string) =>
  import.meta.url.endsWith(".ts")
    ? new URL(`./${name}.fixture.mjs`, import.meta.url)
    : new URL(`./${name}.js`, import.meta.url);

interface BoardPlace {
  readonly hostname: string;
  readonly addresses: readonly string[];
  readonly port: number;
  readonly secret: string;
}

export interface RemoteBoardOptions {
  readonly spec: CodeSpec;
  readonly gradientElements: number;
  /** 1-based. */
  readonly firstStep: number;
  readonly timeoutMs: number;
}

export class RemoteBoard implements Board {
  private readonly link: RankLink;
  private readonly options: RemoteBoardOptions;
  private readonly server: Worker | null;
  private readonly client: Worker;
  private readonly control: Int32Array;
  private readonly loss: Float64Array;
  private readonly outgoing: Float32Array;
  private readonly incoming: Float32Array;
  private numHandedIn = 0;

  /** Every rank makes one, together. */
  constructor(link: RankLink, options: RemoteBoardOptions) {
    const { spec, gradientElements, firstStep } = options;
    const { rank, numRanks } = link;
    this.link = link;
    this.options = options;
    const shared = (numBytes: number) => new SharedArrayBuffer(numBytes);
    const [control, loss] = [shared(4 * (clientWords.missing + numRanks)), shared(8)];
    const [outgoing, incoming] = [shared(4 * gradientElements), shared(4 * gradientElements)];
    this.control = new Int32Array(control);
    this.loss = new Float64Array(loss);
    this.outgoing = new Float32Array(outgoing);
    this.incoming = new Float32Array(incoming);
    const port = shared(4);
    const secret = rank === 0 ? randomUUID() : "";
    const serverData: BoardServerData = { spec, numWorkers: numRanks, gradientElements, secret, port };
    this.server = rank === 0 ? new Worker(threadUrl("boardServer"), { workerData: serverData }) : null;
    this.server?.unref();
    const place = rank === 0 ? this.announce(new Int32Array(port), secret) : heardPlace(link);
    const isHere = place.hostname === hostname();
    const hosts = isHere ? ["127.0.0.1"] : [...place.addresses, place.hostname];
    const clientData: BoardClientData = {
      ...{ hosts, port: place.port, secret: place.secret, worker: rank, firstStep, gradientElements },
      ...{ control, loss, outgoing, incoming },
    };
    this.client = new Worker(threadUrl("boardClient"), { workerData: clientData });
    this.client.unref();
  }

  private announce(port: Int32Array, secret: string): BoardPlace {
    this.waitUntil(port, 0, (value) => value !== 0, "the board of the gradient code to listen");
    if (port[0]! < 0) throw this.lost("the board of the gradient code cannot listen");
    const addresses = Object.values(networkInterfaces())
      .flatMap((list) => list ?? [])
      .flatMap(({ address, family, internal }) => (internal || family !== "IPv4" ? [] : [address]));
    const place: BoardPlace = { hostname: hostname(), addresses, port: port[0]!, secret };
    const bytes = new Uint8Array(placeBytes);
    bytes.set(new TextEncoder().encode(JSON.stringify(place)));
    const sent = Array.from({ length: this.link.numRanks - 1 }, (_, i) => this.link.post(i + 1, placeTag, bytes));
    for (const each of sent) this.link.wait(each);
    return place;
  }

  isDecided(step: number): boolean {
    return Atomics.load(this.control, clientWords.decided) >= step;
  }

  handIn(step: number, loss: number, parts: readonly Float32Array[]): void {
    this.waitUntil(
      this.control,
      clientWords.copied,
      (copied) => copied >= this.numHandedIn,
      "its last gradients to leave",
    );
    let at = 0;
    for (const part of parts) {
      this.outgoing.set(part, at);
      at += part.length;
    }
    this.numHandedIn++;
    this.client.postMessage({ kind: "handIn", step, loss } satisfies ClientRequest);
  }

  take(step: number, parts: readonly Float32Array[]): CodeResult {
    this.waitUntil(
      this.control,
      clientWords.ready,
      (ready) => ready === step,
      `enough workers to hand in step ${step}`,
    );
    let at = 0;
    for (const part of parts) {
      part.set(this.incoming.subarray(at, at + part.length));
      at += part.length;
    }
    const missing = Array.from({ length: this.link.numRanks }, (_, worker) => worker).filter(
      (worker) => this.control[clientWords.missing + worker] === 1,
    );
    const result = { loss: this.loss[0]!, missing };
    // Until the thread has heard that the result is taken, it stays the one that is ready.
    this.client.postMessage({ kind: "taken", step } satisfies ClientRequest);
    return result;
  }

  /** Together: the board stays until everybody has what it needs. */
  finish(): void {
    gatherToRoot(this.link, null);
  }

  private lost(detail: string): TransportError {
    const { rank } = this.link;
    return new TransportError({ kind: "peerDied", rank, peer: -1, op: "wait", collective: null, detail });
  }

  private waitUntil(words: Int32Array, index: number, isReached: (value: number) => boolean, what: string): void {
    const { timeoutMs } = this.options;
    const { rank } = this.link;
    const endMs = performance.now() + timeoutMs;
    for (let now = Atomics.load(words, index); !isReached(now); now = Atomics.load(words, index)) {
      if (Atomics.load(this.control, clientWords.failed) === 1)
        throw this.lost(`rank ${rank} lost the board of the gradient code, or a worker left it`);
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        const detail = `rank ${rank} waited ${timeoutMs / 1000} s for ${what}`;
        throw new TransportError({ kind: "timeout", rank, peer: -1, op: "wait", collective: null, detail });
      }
      // A failure wakes no more than the words it knows of.
      Atomics.wait(words, index, now, Math.min(leftMs, 500));
    }
  }
}

function heardPlace(link: RankLink): BoardPlace {
  const bytes = new Uint8Array(placeBytes);
  link.receive(0, placeTag, bytes);
  // announce() of rank 0 wrote it.
  return JSON.parse(new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)))) as BoardPlace;
}
