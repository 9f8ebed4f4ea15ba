// The board of a gradient code between processes: a thread beside rank 0 that computes nothing of the model, so that no slow worker slows it. Workers hand in
// weighted gradients; the arrival that makes the set large enough decides the step, and all get the batch's gradient, the same bits. A step is not decided
// before everybody has taken the one before the last, so a worker that hangs ends the run instead of being left behind.

import { createServer, type Socket } from "node:net";
import { workerData } from "node:worker_threads";
import { type CodeSpec, decodeFactors, gradientCode } from "../gradientCodes.ts";
import { type Frame, readFrames, writeFrame } from "./frames.ts";

export interface BoardServerData {
  readonly spec: CodeSpec;
  readonly numWorkers: number;
  readonly gradientElements: number;
  readonly secret: string;
  /** One Int32: the port, once it listens; -1 where it cannot. */
  readonly port: SharedArrayBuffer;
}

// remoteBoard.ts starts this file with this data.
const { spec, numWorkers, gradientElements, secret, port } = workerData as BoardServerData;
const code = gradientCode(spec, numWorkers);
const sockets = new Map<number, Socket>();
const taken = new Float64Array(numWorkers);
/** Of the step that is open. */
const arrived = new Map<number, { readonly loss: number; readonly values: Float32Array }>();
let openStep = 0;

function say(value: number): void {
  const word = new Int32Array(port);
  Atomics.store(word, 0, value);
  Atomics.notify(word, 0);
}

function hear(worker: number, { facts, values }: Frame): void {
  if (facts.kind === "handIn" && facts.step === openStep) arrived.set(worker, { loss: facts.loss, values });
  if (facts.kind === "taken") taken[worker] = facts.step;
  decide();
}

function decide(): void {
  if (sockets.size < numWorkers || taken.some((step) => step < openStep - 2)) return;
  const present = Array.from({ length: numWorkers }, (_, worker) => arrived.has(worker));
  const factors = decodeFactors(code, present);
  if (factors === null) return;
  let loss = 0;
  const sum = new Float32Array(gradientElements);
  for (const [worker, factor] of factors.entries()) {
    const part = arrived.get(worker);
    if (factor === 0 || part === undefined) continue;
    loss += factor * part.loss;
    for (let i = 0; i < sum.length; i++) sum[i]! += factor * part.values[i]!;
  }
  const missing = present.flatMap((is, worker) => (is ? [] : [worker]));
  for (const socket of sockets.values()) writeFrame(socket, { kind: "result", step: openStep, loss, missing }, sum);
  arrived.clear();
  openStep++;
}

function welcome(socket: Socket): void {
  let worker = -1;
  socket.setNoDelay(true);
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    if (worker < 0) return;
    // A worker that is gone ends the run for all.
    for (const other of sockets.values()) other.destroy();
  });
  readFrames(socket, gradientElements, (frame) => {
    if (worker >= 0) return hear(worker, frame);
    const { facts } = frame;
    if (facts.kind !== "hello" || facts.secret !== secret || sockets.has(facts.worker)) return void socket.destroy();
    worker = facts.worker;
    sockets.set(worker, socket);
    taken[worker] = facts.firstStep - 1;
    openStep = facts.firstStep;
  });
}

const server = createServer(welcome);
server.on("error", () => say(-1));
server.listen(0, () => {
  const address = server.address();
  say(typeof address === "object" && address !== null ? address.port : -1);
});
