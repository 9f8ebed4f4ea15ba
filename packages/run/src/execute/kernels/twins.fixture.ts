// Slow twin of a kernel: the same operands as f64 arrays for the plain kernel and in an arena for the fast one, windows with random strides in both. After
// a call results are compared, and whatever lies between the windows' rows must be as it was.

import { expect } from "vitest";
import type { Mat } from "../../reference/kernels/mat.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import { rankMemory } from "../memory/arenaMats.ts";
import { sharedMemory } from "../memory/sharedMemory.ts";
import { wasmKernels } from "./wasmKernels.ts";

/** Deterministic uniform numbers (mulberry32, public domain). */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  unit(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [from, to]. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.unit() * (to - from + 1));
  }

  pick<T>(...choices: readonly T[]): T {
    return choices[this.whole(0, choices.length - 1)]!;
  }

  value(): number {
    return Math.fround(2 * this.unit() - 1);
  }
}

const { memory, regions } = sharedMemory([24 << 20]);
export const mats = rankMemory(memory, regions[0]!.startBytes, regions[0]!.sizeBytes, 0);
export const fast: Kernels = wasmKernels(mats.arena);

export interface Twin {
  readonly plain: Mat;
  readonly fast: Mat;
}

export class Twins {
  readonly dice: Dice;
  private readonly made: Twin[] = [];

  constructor(seed: number) {
    this.dice = new Dice(seed);
  }

  /** A random matrix; `windows` false: contiguous. */
  mat(rows: number, cols: number, fill: () => number = () => this.dice.value(), windows = true): Twin {
    const stride = cols + (windows ? this.dice.pick(0, 0, 1, 5) : 0);
    const before = windows ? this.dice.whole(0, 3) : 0;
    const length = before + rows * stride + 3;
    const whole = mats.allocate(1, length, 0);
    const twin: Twin = {
      plain: { data: new Float64Array(length), rows, cols, stride, offset: before },
      fast: { data: whole.data, rows, cols, stride, offset: whole.offset + before },
    };
    for (let i = 0; i < length; i++) {
      const value = Math.fround(fill());
      twin.plain.data[i] = value;
      twin.fast.data[whole.offset + i] = value;
    }
    this.made.push(twin);
    return twin;
  }

  /** Calls both kernels, with the operands that `call` takes from the twins, and compares every matrix that was made. */
  compare(call: (kernels: Kernels, side: (twin: Twin) => Mat) => void, relative: number, what: string): void {
    call(plainKernels, (twin) => twin.plain);
    call(fast, (twin) => twin.fast);
    for (const [n, { plain, fast: ours }] of this.made.entries()) {
      let most = 1e-30;
      for (const value of plain.data) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
      const start = ours.offset - plain.offset;
      for (let i = 0; i < plain.data.length; i++) {
        const [want, got] = [plain.data[i]!, ours.data[start + i]!];
        if (Object.is(want, got) || want === got) continue;
        if (!(Math.abs(want - got) <= relative * most))
          expect.fail(
            `${what}: operand ${n} (${plain.rows} x ${plain.cols}) at ${i}: ${got} instead of ${want}, largest ${most}`,
          );
      }
      mats.arena.free((ours.offset - plain.offset) * 4);
    }
    this.made.length = 0;
  }
}

/** Runs a case for each seed. */
export function forSeeds(count: number, run: (twins: Twins, seed: number) => void): void {
  for (let seed = 1; seed <= count; seed++) run(new Twins(seed), seed);
}
