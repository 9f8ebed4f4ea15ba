// The best values known while a search runs: one for each layout, so that the table at the end shows layouts that differ and not one layout with its options.

import type { Core, Placement } from "../space/types.ts";

/** What makes two strategies layouts of their own: how the devices are divided and the size of a micro-batch. */
export function layoutOf(core: Core, placement: Placement): string {
  const { tp, cp, ep, etp, microBatch, precision } = core;
  return `${tp}:${cp}:${placement.pp}:${ep}:${etp}:${microBatch}:${precision}`;
}

export type LayoutValues = readonly (readonly [layout: string, value: number])[];

export class BestLayouts {
  private readonly most: number;
  private readonly values = new Map<string, number>();
  private worst = Number.POSITIVE_INFINITY;

  /** @param most layouts that are to be proven best. */
  constructor(most: number, known: LayoutValues = []) {
    this.most = most;
    for (const [layout, value] of known) this.offer(layout, value);
  }

  /** A strategy above this can be none of the best layouts. */
  threshold(): number {
    return this.worst;
  }

  offer(layout: string, value: number): void {
    const before = this.values.get(layout);
    if (before !== undefined && before <= value) return;
    this.values.set(layout, value);
    const sorted = this.sorted();
    this.worst = sorted[this.most - 1]?.[1] ?? Number.POSITIVE_INFINITY;
  }

  /** The best layouts, best first; equal ones by name. */
  sorted(): [string, number][] {
    return [...this.values].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)).slice(0, this.most);
  }
}
