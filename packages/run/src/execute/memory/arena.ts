// A region of the process's WebAssembly memory that one rank allocates from: first fit over a list of holes, lowest address first, so that equal calls
// give equal addresses. Neighbouring holes join when something is freed.
//
// Blocks begin on cache lines: vector kernels like it, and two ranks never write to one line. The list of holes is searched from the front, which is
// short in practice, as a rank's buffers live and die like a stack.

import { assert } from "@meshwright/core";
import type { WasmMemory } from "../webAssembly.ts";

export const lineBytes = 64;

interface Hole {
  from: number;
  bytes: number;
}

/** A region that cannot hold what is asked for. */
export class ArenaFull extends Error {
  override readonly name = "ArenaFull";
}

export class Arena {
  readonly memory: WasmMemory;
  /** The whole memory; element i lies at byte address 4 i. */
  readonly floats: Float32Array;
  readonly startBytes: number;
  readonly sizeBytes: number;
  liveBytes = 0;
  peakBytes = 0;
  numLive = 0;
  private readonly holes: Hole[];
  private readonly sizes = new Map<number, number>();
  private readonly name: string;

  /**
   * @param memory never grown while the arena lives. @param startBytes address of the region. @param sizeBytes its length.
   * @param name of the region in messages, as `rank 3`.
   */
  constructor(memory: WasmMemory, startBytes: number, sizeBytes: number, name: string) {
    const end = startBytes + sizeBytes;
    assert(
      startBytes >= 0 && sizeBytes > 0 && end <= memory.buffer.byteLength,
      `region ${startBytes}..${end} lies in a memory of ${memory.buffer.byteLength} bytes`,
    );
    this.memory = memory;
    this.name = name;
    this.floats = new Float32Array(memory.buffer);
    this.startBytes = roundUp(startBytes);
    this.sizeBytes = end - this.startBytes;
    this.holes = [{ from: this.startBytes, bytes: Math.floor(this.sizeBytes / lineBytes) * lineBytes }];
  }

  /** Byte address of a block for `numElements` f32 values, whose contents are whatever was there. */
  allocate(numElements: number): number {
    const bytes = Math.max(lineBytes, roundUp(numElements * 4));
    const at = this.holes.findIndex((hole) => hole.bytes >= bytes);
    if (at < 0) throw this.full(bytes);
    const hole = this.holes[at]!;
    const address = hole.from;
    hole.from += bytes;
    hole.bytes -= bytes;
    if (hole.bytes === 0) this.holes.splice(at, 1);
    this.sizes.set(address, bytes);
    this.liveBytes += bytes;
    this.numLive++;
    this.peakBytes = Math.max(this.peakBytes, this.liveBytes);
    return address;
  }

  free(address: number): void {
    const bytes = this.sizes.get(address);
    assert(bytes !== undefined, `address ${address} of ${this.name} is allocated when freed`);
    this.sizes.delete(address);
    this.liveBytes -= bytes;
    this.numLive--;
    let at = this.holes.findIndex((hole) => hole.from > address);
    if (at < 0) at = this.holes.length;
    const [before, after] = [this.holes[at - 1], this.holes[at]];
    const joinsBefore = before !== undefined && before.from + before.bytes === address;
    const joinsAfter = after !== undefined && address + bytes === after.from;
    if (joinsBefore) before.bytes += bytes + (joinsAfter ? after.bytes : 0);
    else if (joinsAfter) {
      after.from = address;
      after.bytes += bytes;
    } else this.holes.splice(at, 0, { from: address, bytes });
    if (joinsBefore && joinsAfter) this.holes.splice(at, 1);
  }

  /** The largest block that still fits, in bytes. */
  largestHoleBytes(): number {
    return this.holes.reduce((most, hole) => Math.max(most, hole.bytes), 0);
  }

  private full(bytes: number): ArenaFull {
    const free = this.sizeBytes - this.liveBytes;
    return new ArenaFull(
      `Memory of ${this.name} is full: ${bytes} bytes are needed, ${free} of ${this.sizeBytes} are free, ` +
        `the largest hole is ${this.largestHoleBytes()}; use a smaller micro_batch, more ranks or more recompute`,
    );
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / lineBytes) * lineBytes;
}
