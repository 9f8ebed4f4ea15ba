import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { type BoardFacts, type Frame, readFrames, writeFrame } from "./frames.ts";

/** What is written to one comes out of it in pieces of some length. */
class Pipe extends EventEmitter {
  readonly written: Buffer[] = [];
  isDestroyed = false;

  write(bytes: Buffer): void {
    this.written.push(bytes);
  }

  destroy(): void {
    this.isDestroyed = true;
  }

  flow(pieceBytes: number): void {
    const all = Buffer.concat(this.written);
    for (let at = 0; at < all.byteLength && !this.isDestroyed; at += pieceBytes)
      this.emit("data", all.subarray(at, at + pieceBytes));
  }
}

const asSocket = (pipe: Pipe) => pipe as unknown as Socket;
const handIn = (step: number): BoardFacts => ({ kind: "handIn", step, loss: 1 / 3 });

describe("frames of a board", () => {
  it.each([1, 7, 64, 1 << 20])("come out as they went in, in pieces of %i bytes", (pieceBytes) => {
    const pipe = new Pipe();
    const frames: Frame[] = [];
    const facts: BoardFacts[] = [];
    readFrames(
      asSocket(pipe),
      100,
      (frame) => frames.push(frame),
      (each) => facts.push(each),
    );
    const values = Float32Array.from({ length: 100 }, (_, i) => i / 7);
    writeFrame(asSocket(pipe), handIn(1), values.subarray(3, 60));
    writeFrame(asSocket(pipe), { kind: "taken", step: 1 }, null);
    writeFrame(asSocket(pipe), handIn(2), values);
    pipe.flow(pieceBytes);
    expect(frames.map((frame) => frame.facts)).toEqual([handIn(1), { kind: "taken", step: 1 }, handIn(2)]);
    expect(facts).toEqual(frames.map((frame) => frame.facts));
    expect(frames.map((frame) => [...frame.values])).toEqual([[...values.subarray(3, 60)], [], [...values]]);
  });

  it("end a connection that says something else, or too much", () => {
    for (const bytes of [Buffer.from("GET / HTTP/1.1"), Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3])]) {
      const pipe = new Pipe();
      readFrames(asSocket(pipe), 10, () => {});
      pipe.write(bytes);
      pipe.flow(64);
      expect(pipe.isDestroyed).toBe(true);
    }
    const pipe = new Pipe();
    readFrames(asSocket(pipe), 10, () => {});
    writeFrame(asSocket(pipe), handIn(1), new Float32Array(11));
    pipe.flow(64);
    expect(pipe.isDestroyed).toBe(true);
  });
});
