// Deals layers to stages and micro-batches to replicas so that the slowest has as little to do as possible. Pure arithmetic on given costs; what costs what is
// balance.ts's business.

import { assert } from "../units/errors.ts";

/**
 * Layers of each stage, in order, at least one each: the smallest possible cost of the dearest stage, and among those the most even.
 *
 * @param costSec costSec(stage, layer) of a layer on the stage's devices.
 * @param endSec what a stage has beside its layers (embedding, head).
 * @param cap most layers of a stage.
 * @returns null when the caps leave layers over.
 */
export function dealByCost(at: {
  readonly numStages: number;
  readonly numLayers: number;
  readonly costSec: (stage: number, layer: number) => number;
  readonly endSec: (stage: number) => number;
  readonly cap: (stage: number) => number;
}): number[] | null {
  const { numStages, numLayers } = at;
  assert(numStages >= 1 && numLayers >= numStages, `${numLayers} layers reach ${numStages} stages`);
  // before[stage][n]: cost of the first n layers on the stage's devices.
  const before = Array.from({ length: numStages }, (_, stage) => {
    const sums = new Float64Array(numLayers + 1);
    for (let layer = 0; layer < numLayers; layer++) sums[layer + 1] = sums[layer]! + at.costSec(stage, layer);
    return sums;
  });
  const load = (stage: number, from: number, to: number) =>
    before[stage]![to]! - before[stage]![from]! + at.endSec(stage);
  const least = fill(at, (sofar, stage, from, to) => Math.max(sofar, load(stage, from, to)));
  if (least === null) return null;
  const limit = least.value * (1 + 1e-9);
  const even = fill(at, (sofar, stage, from, to) => {
    const cost = load(stage, from, to);
    return cost > limit ? Number.POSITIVE_INFINITY : sofar + cost * cost;
  });
  return (even ?? least).counts;
}

/** Dynamic programme over (stages, layers dealt): `join` adds a stage of layers from..to to the value so far, which grows. Ties: fewer layers first. */
function fill(
  { numStages, numLayers, cap }: Parameters<typeof dealByCost>[0],
  join: (sofar: number, stage: number, from: number, to: number) => number,
): { readonly value: number; readonly counts: number[] } | null {
  const taken = Array.from({ length: numStages }, () => new Int32Array(numLayers + 1));
  let values = new Float64Array(numLayers + 1).fill(Number.POSITIVE_INFINITY);
  values[0] = 0;
  for (let stage = 0; stage < numStages; stage++) {
    const next = new Float64Array(numLayers + 1).fill(Number.POSITIVE_INFINITY);
    const last = stage === numStages - 1;
    for (let to = last ? numLayers : stage + 1; to <= numLayers - (numStages - 1 - stage); to++)
      for (let from = Math.max(stage, to - Math.min(cap(stage), to)); from < to; from++) {
        if (values[from] === Number.POSITIVE_INFINITY) continue;
        const value = join(values[from]!, stage, from, to);
        if (value < next[to]!) {
          next[to] = value;
          taken[stage]![to] = to - from;
        }
      }
    values = next;
  }
  if (values[numLayers] === Number.POSITIVE_INFINITY) return null;
  const counts = new Array<number>(numStages).fill(0);
  let at = numLayers;
  for (let stage = numStages - 1; stage >= 0; stage--) {
    counts[stage] = taken[stage]![at]!;
    at -= counts[stage]!;
  }
  return { value: values[numLayers]!, counts };
}

/**
 * Micro-batches of each replica, multiples of `unit` and at least `least` each (a multiple too): the least time of the slowest, where a replica takes
 * (share + fill) x microSec.
 */
export function dealShares(at: {
  readonly microSec: readonly number[];
  readonly total: number;
  readonly fill: number;
  readonly unit: number;
  readonly least: number;
}): number[] {
  const { microSec, total, fill: warmup, unit, least } = at;
  assert(
    total % unit === 0 && least % unit === 0 && total >= least * microSec.length,
    `${total} micro-batches give each of ${microSec.length} replicas ${least}`,
  );
  const sharesIn = (sec: number) =>
    microSec.map((micro) => Math.max(least, unit * Math.floor((sec / micro - warmup) / unit + 1e-9)));
  const sum = (shares: readonly number[]) => shares.reduce((a, b) => a + b, 0);
  let low = 0;
  let high = (total + warmup) * Math.max(...microSec);
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (sum(sharesIn(middle)) >= total) high = middle;
    else low = middle;
  }
  const shares = sharesIn(high);
  // More than enough fits: the slowest give back first.
  for (let over = sum(shares) - total; over > 0; over -= unit) {
    let slowest = -1;
    for (let i = 0; i < shares.length; i++) {
      if (shares[i]! <= least) continue;
      const time = (shares[i]! + warmup) * microSec[i]!;
      if (slowest < 0 || time >= (shares[slowest]! + warmup) * microSec[slowest]!) slowest = i;
    }
    shares[slowest]! -= unit;
  }
  return shares;
}
