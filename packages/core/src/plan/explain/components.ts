// The losses of a waterfall as the few components in which two jobs are compared. Those of matrix and attention kernels go together, with the model's own
// work: clock and efficiency of the same kernels trade against each other.

import { type LossKey, lossNames, type Waterfall } from "./waterfall.ts";

export const kernelKeys: ReadonlySet<LossKey> = new Set(["nonModel", "gemm", "attention", "clock"]);

export type ComponentKey = LossKey | "kernels";

export function componentName(key: ComponentKey): string {
  return key === "kernels" ? "matrix and attention kernels" : lossNames[key];
}

/** Seconds of each component; together they are the step. */
export function componentSeconds(of: Waterfall): ReadonlyMap<ComponentKey, number> {
  const seconds = new Map<ComponentKey, number>([["kernels", of.usefulSec]]);
  for (const { key, durationSec } of of.losses) {
    const to = kernelKeys.has(key) ? "kernels" : key;
    seconds.set(to, (seconds.get(to) ?? 0) + durationSec);
  }
  return seconds;
}
