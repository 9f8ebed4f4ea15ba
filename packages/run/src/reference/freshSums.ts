// Sums of a step - gradients, losses - begin at zero, and nothing is cleared for that where the first op that adds to one can write it instead: with one micro-batch a
// step a pass over all gradients is saved. Whatever else touches a sum first finds it cleared.

import type { Op } from "@meshwright/core";
import type { Frame } from "./frame.ts";
import { clear, type Mat } from "./kernels/mat.ts";
import { opPlan } from "./opPlans.ts";

export class FreshSums {
  /** Sums that nothing was added to in this step. */
  private readonly waiting = new Set<Mat>();

  /** A step begins. */
  begin(sums: Iterable<Mat>): void {
    this.waiting.clear();
    for (const sum of sums) this.waiting.add(sum);
  }

  /** The op to run in the place of `op`; sums that it touches are ready for it. */
  entering(frame: Frame, rank: number, op: Op): Op {
    if (this.waiting.size === 0) return op;
    const { place, run } = frame;
    const { sums, first } = opPlan(place.block, op);
    let runs = op;
    for (const id of sums) {
      const sum = run.stores[rank]!.get(place, id);
      if (!this.waiting.delete(sum)) continue;
      if (first === null) clear(sum);
      else runs = first;
    }
    return runs;
  }

  /** Sums that no op has touched are zero from here. */
  settle(): void {
    for (const sum of this.waiting) clear(sum);
    this.waiting.clear();
  }
}
