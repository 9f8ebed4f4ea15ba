// Which sequences a step trains on: a pure function of the seed and of how many sequences came before, never of the mesh. Every epoch visits each training
// window once, in an order of its own. The engine deals a step's sequences to replicas and micro-batches (reference/data.ts).

import { hash32 } from "../../reference/hash.ts";
import { type TokenWindows, tokenAt } from "./windows.ts";

/** Token ids of one step, by its sequence and position; as the engine reads them. */
export interface StepTokens {
  id(sequence: number, position: number): number;
}

export interface BatchOrder {
  readonly seed: number;
  /** Sequences of a step. */
  readonly globalBatch: number;
  /** The run, or the part of it since it resumed, begins at this step, and this many sequences were seen before it. */
  readonly firstStep: number;
  readonly sequencesBefore: number;
}

export class TrainingBatches {
  private readonly windows: TokenWindows;
  private readonly order: BatchOrder;
  private readonly epochs = new Map<number, Int32Array>();

  constructor(windows: TokenWindows, order: BatchOrder) {
    this.windows = windows;
    this.order = order;
  }

  /** Sequences seen before a step. */
  sequencesBefore(step: number): number {
    return this.order.sequencesBefore + (step - this.order.firstStep) * this.order.globalBatch;
  }

  /** @param step 0-based. */
  batch(step: number): StepTokens {
    const first = this.sequencesBefore(step);
    return { id: (sequence, position) => tokenAt(this.windows, this.windowOf(first + sequence), position) };
  }

  /** Window of the n-th sequence of all training. */
  windowOf(n: number): number {
    const { train } = this.windows;
    return this.epoch(Math.floor(n / train.length))[n % train.length]!;
  }

  private epoch(number: number): Int32Array {
    let order = this.epochs.get(number);
    if (order === undefined) {
      order = shuffled(this.windows.train, this.order.seed, number);
      // A batch reaches into the next epoch at most; older ones are over.
      for (const old of this.epochs.keys()) if (Math.abs(old - number) > 1) this.epochs.delete(old);
      this.epochs.set(number, order);
    }
    return order;
  }
}

/** Evaluation batches in the order of the text: the b-th holds the windows from b x globalBatch on, from the start again at the end. */
export function evaluationBatch(windows: TokenWindows, globalBatch: number, b: number): StepTokens {
  const { evaluation } = windows;
  return {
    id: (sequence, position) =>
      tokenAt(windows, evaluation[(b * globalBatch + sequence) % evaluation.length]!, position),
  };
}

/** Fisher-Yates with the hash of (seed, epoch, position) as its randomness. */
function shuffled(items: Int32Array, seed: number, epoch: number): Int32Array {
  const out = items.slice();
  for (let i = out.length - 1; i > 0; i--) {
    const j = hash32("order of windows", seed, epoch, i) % (i + 1);
    const kept = out[i]!;
    out[i] = out[j]!;
    out[j] = kept;
  }
  return out;
}
