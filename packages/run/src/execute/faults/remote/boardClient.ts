// The thread that talks to the board for a worker of a gradient code, so that the worker can compute, and look at one number to learn whether its step is
// decided already.

import { connect, type Socket } from "node:net";
import { parentPort, workerData } from "node:worker_threads";
import { type BoardClientData, type ClientRequest, clientWords } from "./clientProtocol.ts";
import { type BoardFacts, type Frame, readFrames, writeFrame } from "./frames.ts";

// remoteBoard.ts starts this file with this data.
const data = workerData as BoardClientData;
const control = new Int32Array(data.control);
const results: Frame[] = [];

function set(word: number, value: number): void {
  Atomics.store(control, word, value);
  Atomics.notify(control, word);
}

function fail(): void {
  for (const word of [clientWords.failed, clientWords.ready, clientWords.copied]) {
    if (word === clientWords.failed) Atomics.store(control, word, 1);
    Atomics.notify(control, word);
  }
}

/** Shows the oldest result that the worker has not taken. */
function show(): void {
  const next = results[0];
  if (next === undefined || next.facts.kind !== "result" || Atomics.load(control, clientWords.ready) !== 0) return;
  const { step, loss, missing } = next.facts;
  new Float32Array(data.incoming).set(next.values);
  new Float64Array(data.loss)[0] = loss;
  control.fill(0, clientWords.missing);
  for (const worker of missing) control[clientWords.missing + worker] = 1;
  set(clientWords.ready, step);
}

function hear(frame: Frame): void {
  results.push(frame);
  show();
}

function begin(facts: BoardFacts): void {
  if (facts.kind === "result") set(clientWords.decided, facts.step);
}

function talk(socket: Socket): void {
  socket.setNoDelay(true);
  socket.on("close", fail);
  readFrames(socket, data.gradientElements, hear, begin);
  writeFrame(socket, { kind: "hello", secret: data.secret, worker: data.worker, firstStep: data.firstStep }, null);
  parentPort?.on("message", (request: ClientRequest) => {
    if (request.kind === "handIn") {
      writeFrame(socket, request, new Float32Array(data.outgoing));
      set(clientWords.copied, Atomics.load(control, clientWords.copied) + 1);
      return;
    }
    writeFrame(socket, request, null);
    results.shift();
    set(clientWords.ready, 0);
    show();
  });
}

function tryHost(index: number): void {
  const host = data.hosts[index];
  if (host === undefined) return fail();
  const socket = connect({ host, port: data.port });
  socket.once("connect", () => {
    socket.off("error", next);
    socket.on("error", () => socket.destroy());
    talk(socket);
  });
  const next = () => {
    socket.destroy();
    tryHost(index + 1);
  };
  socket.once("error", next);
}

tryHost(0);
