// What a floor over every way to deal the layers needs of a model: its distinct kinds of layers, all of them together, and what follows them.

import type { Chain } from "./actionPath.ts";
import type { StageFloors } from "./stageFloors.ts";

export interface SpreadSums {
  /** One forward and backward of each kind of layer. */
  readonly kinds: readonly Chain[];
  /** Of the layer with least. */
  readonly layerJoules: number;
  readonly layerOther: number;
  /** Of the layer with most, and of all that is no layer. */
  readonly layerMost: Work;
  readonly endsMost: Work;
  /** Everything up to the last layer, and what comes after it. */
  readonly whole: Chain;
  readonly ends: Chain;
}

/** One forward and backward, and the forward alone. */
export interface Work extends WorkSeconds {
  readonly forward: WorkSeconds;
}

interface WorkSeconds {
  readonly matrixSec: number;
  readonly otherSec: number;
  readonly stallSec: number;
}

const known = new WeakMap<StageFloors, SpreadSums>();

export function spreadSums(floors: StageFloors): SpreadSums {
  let sums = known.get(floors);
  if (sums === undefined) {
    sums = sumUp(floors);
    known.set(floors, sums);
  }
  return sums;
}

function sumUp(floors: StageFloors): SpreadSums {
  const { F, BW, layerAt, numBlocks, joules, otherSec } = floors;
  const between = (from: number, to: number): Chain => ({
    sec: F.stepSec[to]! - F.stepSec[from]! + BW.stepSec[to]! - BW.stepSec[from]!,
    matrixSec: F.stepMatrix[to]! - F.stepMatrix[from]! + BW.stepMatrix[to]! - BW.stepMatrix[from]!,
  });
  const kinds: Chain[] = [];
  let layerJoules = Number.POSITIVE_INFINITY;
  let layerOther = Number.POSITIVE_INFINITY;
  for (const i of layerAt) {
    const layer = between(i, i + 1);
    // Differences of sums: equal layers differ by rounding, which floors leave room for (StepValue.valueAt).
    if (!kinds.some((kind) => same(kind.sec, layer.sec) && same(kind.matrixSec, layer.matrixSec))) kinds.push(layer);
    layerJoules = Math.min(layerJoules, joules[i + 1]! - joules[i]!);
    layerOther = Math.min(layerOther, otherSec[i + 1]! - otherSec[i]!);
  }
  const end = layerAt.at(-1)! + 1;
  return {
    kinds,
    layerJoules,
    layerOther,
    ...mostWork(floors),
    whole: between(0, end),
    ends: between(end, numBlocks),
  };
}

function same(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * a;
}

type WorkPrefixes = Pick<StageFloors, "matrixSec" | "otherSec" | "stallSec">;

function mostWork(floors: StageFloors): Pick<SpreadSums, "layerMost" | "endsMost"> {
  const layers = new Set(floors.layerAt);
  const pick = (sums: WorkPrefixes) => {
    const of = (prefix: Float64Array) => {
      let [layer, ends] = [0, 0];
      for (let i = 0; i < floors.numBlocks; i++) {
        const value = prefix[i + 1]! - prefix[i]!;
        if (layers.has(i)) layer = Math.max(layer, value);
        else ends += value;
      }
      return { layer, ends };
    };
    const [matrix, other, stall] = [of(sums.matrixSec), of(sums.otherSec), of(sums.stallSec)];
    return {
      layer: { matrixSec: matrix.layer, otherSec: other.layer, stallSec: stall.layer },
      ends: { matrixSec: matrix.ends, otherSec: other.ends, stallSec: stall.ends },
    };
  };
  const whole = pick(floors);
  const forward = pick({ ...floors.forward, stallSec: floors.forwardStallSec });
  return {
    layerMost: { ...whole.layer, forward: forward.layer },
    endsMost: { ...whole.ends, forward: forward.ends },
  };
}
