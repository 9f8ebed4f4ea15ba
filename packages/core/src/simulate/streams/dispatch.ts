// How long a device that issues its own work needs between two ops: a core interprets the program, and finds its own data and code in the caches or not, which is a
// matter of how much the op before has moved.

import type { DeviceSpec } from "../../cluster/types.ts";

/** Between the measured sizes linear in the logarithm of the bytes, beyond them the nearest. */
export function dispatchAfter(
  { dispatchSec = 0, dispatchAfter: points = [] }: DeviceSpec,
  bytesBefore: number,
): number {
  const above = points.findIndex(({ sizeBytes }) => sizeBytes >= bytesBefore);
  if (above === 0) return points[0]!.durationSec;
  if (above < 0) return points.at(-1)?.durationSec ?? dispatchSec;
  const [from, to] = [points[above - 1]!, points[above]!];
  const share = Math.log(bytesBefore / from.sizeBytes) / Math.log(to.sizeBytes / from.sizeBytes);
  return from.durationSec + share * (to.durationSec - from.durationSec);
}
