// How close a step comes to the memory it has, against how far predicted peaks are off: a layout that fills a device to the last per cent may fail on it.
//
// What counts is what must be there: segments that the allocator only caches (fragmentationBytes) it gives back when memory runs out (allocator.ts).

import { formatBytes } from "../../units/format.ts";
import type { MemoryBreakdown } from "../types.ts";

/** Mean and ninth-decile error of peak memory over the measured core rows (docs/accuracy.md, peak memory). */
export const PEAK_MEAN_ERROR_FRAC = 0.05;
export const PEAK_TENTH_ERROR_FRAC = 0.1;

/** What must be in a rank's memory at its peak. */
export function neededBytes({ peakBytes, fragmentationBytes }: MemoryBreakdown): number {
  return peakBytes - fragmentationBytes;
}

/**
 * A sentence about the rank with the least room where that is less than predicted peaks err by on average; null where there is more, or where the step does
 * not fit at all.
 */
export function headroomNote(ranks: readonly { readonly memory: MemoryBreakdown }[]): string | null {
  let tightest: MemoryBreakdown | undefined;
  let leastFrac = Number.POSITIVE_INFINITY;
  for (const { memory } of ranks) {
    const roomFrac = 1 - neededBytes(memory) / memory.capacityBytes;
    if (roomFrac >= leastFrac) continue;
    leastFrac = roomFrac;
    tightest = memory;
  }
  if (tightest === undefined || leastFrac < 0 || leastFrac >= PEAK_MEAN_ERROR_FRAC) return null;
  const percent = (frac: number, digits: number): string => `${(100 * frac).toFixed(digits)} %`;
  return (
    `The fullest rank needs ${formatBytes(neededBytes(tightest))} of ${formatBytes(tightest.capacityBytes)}: ${percent(leastFrac, 1)} of room, and predicted peaks ` +
    `err by ${percent(PEAK_MEAN_ERROR_FRAC, 0)} on average and by more than ${percent(PEAK_TENTH_ERROR_FRAC, 0)} for one job in ten, so this step may run out of memory`
  );
}
