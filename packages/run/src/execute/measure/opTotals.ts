// Seconds of a rank's ops by name, over several steps: for each name the median of the steps' totals, so that one disturbed step does not count.

import type { RankSpans } from "../engine/spanRecorder.ts";

export interface MeasuredOp {
  /** As predictions call it: `matmul ffn.up (weight grad)`. */
  readonly name: string;
  /** compute, or the axis family of a collective. */
  readonly kind: string;
  /** Calls in a step. */
  readonly count: number;
  readonly durationSec: number;
}

export class OpTotals {
  private readonly steps: ReadonlyMap<string, MeasuredOp>[] = [];
  private readonly maxSteps: number;

  constructor(maxSteps: number) {
    this.maxSteps = maxSteps;
  }

  /** The oldest steps beyond `maxSteps` are forgotten. */
  add(spans: RankSpans): void {
    const totals = new Map<string, { name: string; kind: string; count: number; durationSec: number }>();
    for (let i = 0; i < spans.count; i++) {
      if (spans.level[i] !== 1) continue;
      const name = spans.names[spans.name[i]!]!;
      const entry = totals.get(name) ?? { name, kind: spans.categories[spans.category[i]!]!, count: 0, durationSec: 0 };
      totals.set(name, entry);
      entry.count++;
      entry.durationSec += spans.endSec[i]! - spans.startSec[i]!;
    }
    this.steps.push(totals);
    if (this.steps.length > this.maxSteps) this.steps.shift();
  }

  /** By name of the last step; most expensive first. */
  totals(): MeasuredOp[] {
    const last = this.steps.at(-1);
    if (last === undefined) return [];
    return [...last.values()]
      .map((op) => ({ ...op, durationSec: median(this.steps.map((step) => step.get(op.name)?.durationSec ?? 0)) }))
      .sort((a, b) => b.durationSec - a.durationSec || (a.name < b.name ? -1 : 1));
  }
}

/** Seconds of all ops of a step, meetings with other ranks included. */
export function opSeconds({ count, level, startSec, endSec }: RankSpans): number {
  let sum = 0;
  for (let i = 0; i < count; i++) if (level[i] === 1) sum += endSec[i]! - startSec[i]!;
  return sum;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
