// What workers of a gradient code and their board say to each other over a connection: frames of a line of facts and numbers.

import type { Socket } from "node:net";

/** From a worker, or (`result`) to all of them. Steps are counted from 1. */
export type BoardFacts =
  | { readonly kind: "hello"; readonly secret: string; readonly worker: number; readonly firstStep: number }
  | { readonly kind: "handIn"; readonly step: number; readonly loss: number }
  | { readonly kind: "taken"; readonly step: number }
  | { readonly kind: "result"; readonly step: number; readonly loss: number; readonly missing: readonly number[] };

export interface Frame {
  readonly facts: BoardFacts;
  readonly values: Float32Array;
}

const headBytes = 8;
const maxFactsBytes = 2 ** 20;

/** @param values copied before this returns. */
export function writeFrame(socket: Socket, facts: BoardFacts, values: Float32Array | null): void {
  const text = Buffer.from(JSON.stringify(facts), "utf8");
  const numBytes = values === null ? 0 : values.byteLength;
  const frame = Buffer.alloc(headBytes + text.byteLength + numBytes);
  frame.writeUInt32LE(text.byteLength, 0);
  frame.writeUInt32LE(numBytes, 4);
  frame.set(text, headBytes);
  if (values !== null)
    frame.set(new Uint8Array(values.buffer, values.byteOffset, numBytes), headBytes + text.byteLength);
  socket.write(frame);
}

/** Calls back for every frame that comes, and before its numbers are all there. What is no frame ends the connection. */
export function readFrames(
  socket: Socket,
  maxValues: number,
  onFrame: (frame: Frame) => void,
  onFacts: (facts: BoardFacts) => void = () => {},
): void {
  const pieces: Buffer[] = [];
  let held = 0;
  let wanted = headBytes;
  let facts: BoardFacts | null = null;
  let sizes: readonly [number, number] | null = null;
  const takeAll = (): Buffer => {
    const whole = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces);
    pieces.length = 0;
    const rest = whole.subarray(wanted);
    held = rest.byteLength;
    if (held > 0) pieces.push(rest);
    return whole.subarray(0, wanted);
  };
  socket.on("data", (data: Buffer) => {
    pieces.push(data);
    held += data.byteLength;
    while (held >= wanted) {
      const bytes = takeAll();
      if (sizes === null) {
        sizes = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
        if (sizes[0] > maxFactsBytes || sizes[1] > maxValues * 4) return void socket.destroy();
        wanted = sizes[0];
      } else if (facts === null) {
        try {
          facts = JSON.parse(bytes.toString("utf8")) as BoardFacts; // writeFrame() wrote it, or the secret is missing
        } catch {
          return void socket.destroy();
        }
        onFacts(facts);
        wanted = sizes[1];
      } else {
        const values = new Float32Array(sizes[1] / 4);
        new Uint8Array(values.buffer).set(bytes);
        const frame = { facts, values };
        [facts, sizes, wanted] = [null, null, headBytes];
        onFrame(frame);
      }
    }
  });
}
