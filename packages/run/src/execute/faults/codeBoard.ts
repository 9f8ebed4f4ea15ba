// Where workers of a gradient code on threads hand in what they computed and take what the step makes of it: memory that all ranks of the process share. The first
// worker whose arrival makes the set large enough decides it for everybody, so all ranks decode from the same workers and their parameters stay equal to the
// last bit. A worker that is late sees that the step is decided, gives up its own part and takes the result.
//
// Two slots take turns. Before a worker writes into a slot again, everybody has taken what was in it; so a slow worker delays the others only when it is a
// whole step behind, and giving up between its actions keeps it from that.

import { TransportError } from "../transport/contract.ts";
import { decodeFactors, type GradientCode } from "./gradientCodes.ts";

/** What a step has come to: the batch's loss, and who was not waited for. */
export interface CodeResult {
  readonly loss: number;
  readonly missing: readonly number[];
}

/** Of one worker; steps are counted from 1. */
export interface Board {
  /** Whether enough others have handed in: what this worker still computes will not be used. */
  isDecided(step: number): boolean;
  /** Hands in this worker's weighted gradients and loss. */
  handIn(step: number, loss: number, parts: readonly Float32Array[]): void;
  /** Waits until the step is decided and writes the batch's gradients into `parts`. */
  take(step: number, parts: readonly Float32Array[]): CodeResult;
  /** After the last step; every worker calls it. */
  finish(): void;
}

const numSlots = 2;

/** Memory for a code's workers with gradients of so many elements. */
export function makeBoardMemory(numWorkers: number, gradientElements: number): SharedArrayBuffer {
  return new SharedArrayBuffer(layoutOf(numWorkers, gradientElements).sizeBytes);
}

function layoutOf(numWorkers: number, gradientElements: number) {
  // Int32: per slot a lock, the decided step, a flag per worker of the set; arrivals per slot and worker; steps taken per worker.
  const control = numSlots * (2 + numWorkers) + numSlots * numWorkers + numWorkers;
  const lossAt = Math.ceil((control * 4) / 64) * 64;
  const gradientsAt = Math.ceil((lossAt + numSlots * numWorkers * 8) / 64) * 64;
  return { control, lossAt, gradientsAt, sizeBytes: gradientsAt + numSlots * numWorkers * gradientElements * 4 };
}

export class CodeBoard implements Board {
  private readonly code: GradientCode;
  private readonly worker: number;
  private readonly gradientElements: number;
  private readonly control: Int32Array;
  private readonly losses: Float64Array;
  private readonly gradients: Float32Array;
  private readonly timeoutMs: number;

  constructor(
    memory: SharedArrayBuffer,
    of: {
      readonly code: GradientCode;
      readonly worker: number;
      readonly gradientElements: number;
      readonly timeoutMs: number;
    },
  ) {
    const { code, worker, gradientElements, timeoutMs } = of;
    const { numWorkers } = code;
    const layout = layoutOf(numWorkers, gradientElements);
    this.code = code;
    this.worker = worker;
    this.gradientElements = gradientElements;
    this.timeoutMs = timeoutMs;
    this.control = new Int32Array(memory, 0, layout.control);
    this.losses = new Float64Array(memory, layout.lossAt, numSlots * numWorkers);
    this.gradients = new Float32Array(memory, layout.gradientsAt, numSlots * numWorkers * gradientElements);
  }

  // Places in `control`. Steps are counted from 1 here, so that fresh memory means none.
  private lockAt(slot: number): number {
    return slot * (2 + this.code.numWorkers);
  }
  private decidedAt(slot: number): number {
    return this.lockAt(slot) + 1;
  }
  private chosenAt(slot: number, worker: number): number {
    return this.lockAt(slot) + 2 + worker;
  }
  private arrivedAt(slot: number, worker: number): number {
    return numSlots * (2 + this.code.numWorkers) + slot * this.code.numWorkers + worker;
  }
  private takenAt(worker: number): number {
    return numSlots * (2 + 2 * this.code.numWorkers) + worker;
  }

  isDecided(step: number): boolean {
    return Atomics.load(this.control, this.decidedAt(step % numSlots)) === step;
  }

  handIn(step: number, loss: number, parts: readonly Float32Array[]): void {
    const slot = step % numSlots;
    // Whoever has not taken step - 2 may still read from this slot.
    for (let worker = 0; worker < this.code.numWorkers; worker++)
      this.waitUntil(
        this.takenAt(worker),
        (taken) => taken >= step - numSlots,
        `worker ${worker} to take step ${step - numSlots}`,
      );
    if (this.isDecided(step)) return;
    const region = this.region(slot, this.worker);
    let at = 0;
    for (const part of parts) {
      region.set(part, at);
      at += part.length;
    }
    this.losses[slot * this.code.numWorkers + this.worker] = loss;
    Atomics.store(this.control, this.arrivedAt(slot, this.worker), step);
    this.decide(step, slot);
  }

  take(step: number, parts: readonly Float32Array[]): CodeResult {
    const slot = step % numSlots;
    this.waitUntil(this.decidedAt(slot), (decided) => decided === step, `enough workers to hand in step ${step}`);
    const { numWorkers } = this.code;
    const chosen = Array.from(
      { length: numWorkers },
      (_, w) => Atomics.load(this.control, this.chosenAt(slot, w)) === 1,
    );
    // The set was decided because it decodes.
    const factors = decodeFactors(this.code, chosen)!;
    let loss = 0;
    for (const part of parts) part.fill(0);
    for (const [worker, factor] of factors.entries()) {
      if (factor === 0) continue;
      loss += factor * this.losses[slot * numWorkers + worker]!;
      const region = this.region(slot, worker);
      let at = 0;
      for (const part of parts) {
        for (let i = 0; i < part.length; i++) part[i]! += factor * region[at + i]!;
        at += part.length;
      }
    }
    Atomics.store(this.control, this.takenAt(this.worker), step);
    Atomics.notify(this.control, this.takenAt(this.worker));
    return { loss, missing: chosen.flatMap((is, worker) => (is ? [] : [worker])) };
  }

  /** The memory is everybody's: nobody waits for anybody. */
  finish(): void {}

  /** A run that resumes: steps before this one are over. */
  startAt(step: number): void {
    Atomics.store(this.control, this.takenAt(this.worker), step - 1);
    Atomics.notify(this.control, this.takenAt(this.worker));
  }

  private region(slot: number, worker: number): Float32Array {
    const from = (slot * this.code.numWorkers + worker) * this.gradientElements;
    return this.gradients.subarray(from, from + this.gradientElements);
  }

  /** Under the slot's lock: the workers that have arrived, if they are enough. */
  private decide(step: number, slot: number): void {
    while (Atomics.compareExchange(this.control, this.lockAt(slot), 0, 1) !== 0)
      Atomics.wait(this.control, this.lockAt(slot), 1, 1);
    if (!this.isDecided(step)) {
      const { numWorkers } = this.code;
      const arrived = Array.from(
        { length: numWorkers },
        (_, w) => Atomics.load(this.control, this.arrivedAt(slot, w)) === step,
      );
      if (decodeFactors(this.code, arrived) !== null) {
        for (const [worker, is] of arrived.entries())
          Atomics.store(this.control, this.chosenAt(slot, worker), is ? 1 : 0);
        Atomics.store(this.control, this.decidedAt(slot), step);
        Atomics.notify(this.control, this.decidedAt(slot));
      }
    }
    Atomics.store(this.control, this.lockAt(slot), 0);
    Atomics.notify(this.control, this.lockAt(slot));
  }

  private waitUntil(index: number, isReached: (value: number) => boolean, what: string): void {
    const endMs = performance.now() + this.timeoutMs;
    for (let now = Atomics.load(this.control, index); !isReached(now); now = Atomics.load(this.control, index)) {
      const leftMs = endMs - performance.now();
      if (leftMs <= 0) {
        const detail = `rank ${this.worker} waited ${this.timeoutMs / 1000} s for ${what}`;
        throw new TransportError({
          kind: "timeout",
          rank: this.worker,
          peer: -1,
          op: "wait",
          collective: null,
          detail,
        });
      }
      Atomics.wait(this.control, index, now, leftMs);
    }
  }
}
