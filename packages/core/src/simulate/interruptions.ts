// Devices that are taken from their job now and then, by figures measured on the machine (DeviceSpec.interruptions): how often a busy device loses how long. They count
// twice. Every op of a device lasts longer by what the device loses; and where ranks meet, the first to come wait for the last.
//
// Between two meetings a rank's losses are a compound Poisson sum: mean r s m and variance r s q^2 over s busy seconds, of a rate r, a mean length m and a root mean
// square q. The ranks go on when the last has come, so each waits E[max of n] - mean. Two limits are exact: with few interruptions a segment hardly two meet, and every
// one of the n - 1 peers' adds to the wait; with many, sums are normal, and the largest of n stands out by their deviation times a factor (Blom 1958, noise.ts). The
// smaller of the two is taken; against a simulation (interruptions.test.ts) it is off by at most a half where they cross.
//
// Left out: ranks that meet some of the others only; what a rank loses while it waits anyway (it counts as if it had come in time to lose it again).

import type { DeviceSpec, Interruptions } from "../cluster/types.ts";
import { expectedMaximum } from "./noise.ts";

/** Those measured with as many devices at work, or with the next fewer; the fewest where all were measured with more. */
export function interruptionsOf(device: DeviceSpec, numDevices: number): Interruptions | null {
  const { interruptions = [] } = device;
  return interruptions.findLast((each) => each.numDevices <= numDevices) ?? interruptions[0] ?? null;
}

/** Seconds that a busy second takes longer by. */
export function lostFrac(interruptions: Interruptions | null): number {
  return interruptions === null ? 0 : interruptions.perSec * interruptions.meanSec;
}

/** Seconds of a step that a rank waits for interrupted peers. @param at.busySec of a rank's step, in as many segments as ranks meet. */
export function interruptedWaitSec(
  { perSec, meanSec, rmsSec }: Interruptions,
  at: { readonly busySec: number; readonly numMeetings: number; readonly numRanks: number },
): number {
  const numSegments = Math.max(1, at.numMeetings);
  const perSegment = (perSec * at.busySec) / numSegments;
  const rare = (at.numRanks - 1) * perSegment * meanSec;
  const many = Math.sqrt(perSegment) * rmsSec * expectedMaximum(at.numRanks);
  return numSegments * Math.min(rare, many);
}
