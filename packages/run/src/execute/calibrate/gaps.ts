// What a core needs between two ops: the interpreter finds buffers, allocates, records. Its own data and code lie in the caches or not, so the gap is measured by the bytes of
// the op before.

import type { DeviceSpec, Op } from "@meshwright/core";
import type { Lost } from "./lost.ts";
import { opSpansOf, type StepRecord } from "./stepEngine.ts";

/** Ops that leave the interpreter where it was. */
const smallBytes = 2 ** 17;
/** Gaps of a size from which its mean is one. */
const leastGaps = 20;

export class Gaps {
  private readonly lost: Lost;
  /** By the logarithm of the bytes to base 2, rounded. */
  private readonly bySize = new Map<number, number[]>();

  constructor(lost: Lost) {
    this.lost = lost;
  }

  /** The gaps of a step. */
  add({ ran, spans }: StepRecord, bytesOf: ReadonlyMap<Op, number>): void {
    const at = opSpansOf(spans);
    for (let i = 1; i < Math.min(at.length, ran.length); i++) {
      const size = Math.round(Math.log2(Math.max(1, bytesOf.get(ran[i - 1]!) ?? 1)));
      const gaps = this.bySize.get(size) ?? [];
      this.bySize.set(size, gaps);
      gaps.push(spans.startSec[at[i]!]! - spans.endSec[at[i - 1]!]!);
    }
  }

  /** After small ops, and by size. */
  figures(): { readonly dispatchSec: number; readonly dispatchAfter: NonNullable<DeviceSpec["dispatchAfter"]> } {
    const sizes = [...this.bySize].sort(([a], [b]) => a - b);
    const small = sizes.filter(([size]) => 2 ** size <= smallBytes).flatMap(([, gaps]) => gaps);
    return {
      dispatchSec: this.lost.meanOfRest(small),
      dispatchAfter: sizes
        .filter(([size, gaps]) => 2 ** size > smallBytes / 2 && gaps.length >= leastGaps)
        .map(([size, gaps]) => ({ sizeBytes: 2 ** size, durationSec: this.lost.meanOfRest(gaps) })),
    };
  }
}
