// The physics of one matrix product: tiles on compute units in waves, operands from HBM or L2, one launch.
//
// The library picks the tile that finishes first, so does the model: for each tile shape it counts waves, prices one wave by the tile's own
// efficiency (small tiles re-read more and issue less), and keeps the minimum. k may be split over units when the output has few tiles.
// Neglected: rasterisation order, stream-k remainders, clock changes (power.ts).

import type { DeviceSpec } from "../../cluster/types.ts";
import type { GemmDType } from "../types.ts";
import { archFamily, kernelFloorSec, operandBytes, peakFlopsPerSec, streamEfficiency } from "./roofline.ts";

export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly dtype: GemmDType;
  readonly outBytes: number;
  /** C is read as well as written. */
  readonly accumulate: boolean;
}

interface Tile {
  readonly m: number;
  readonly n: number;
  /** Share of the peak of one unit in a long main loop. */
  readonly efficiency: number;
}

/** Tile shapes the vendor libraries choose from, with the share of the unit's peak their main loop keeps. */
const TILES: readonly Tile[] = [
  { m: 256, n: 128, efficiency: 1 },
  { m: 128, n: 256, efficiency: 1 },
  { m: 128, n: 128, efficiency: 0.95 },
  { m: 128, n: 64, efficiency: 0.8 },
  { m: 64, n: 128, efficiency: 0.8 },
  { m: 64, n: 64, efficiency: 0.62 },
  { m: 64, n: 256, efficiency: 0.88 },
  { m: 32, n: 128, efficiency: 0.5 },
  { m: 16, n: 128, efficiency: 0.28 },
];
const K_SPLITS: readonly number[] = [1, 2, 4, 8, 16];

/** Share of the peak the main loop sustains on large shapes. */
function mainLoopEfficiency(device: DeviceSpec): number {
  switch (archFamily(device)) {
    case "hopper":
      return 0.82;
    case "blackwell":
      return 0.84;
    case "cdna":
      return 0.62;
    case "tpu":
      return 0.92;
    case "volta":
      return 0.75;
    default:
      return 0.88;
  }
}

export interface GemmTerms {
  readonly computeSec: number;
  readonly memorySec: number;
  readonly floorSec: number;
}

/** The three terms of a product's time; `gemmSeconds` joins them. */
export function gemmTerms(device: DeviceSpec, shape: GemmShape): GemmTerms {
  const { m, n, k, batch } = shape;
  const peak = peakFlopsPerSec(device, shape.dtype) * mainLoopEfficiency(device);
  const unitRate = peak / device.units;
  const fillFlops = unitRate * 1.2e-6;
  let computeSec = Number.POSITIVE_INFINITY;
  for (const tile of TILES) {
    const tiles = Math.ceil(m / tile.m) * Math.ceil(n / tile.n) * batch;
    for (const split of K_SPLITS) {
      if (split > 1 && (tiles * split > 2 * device.units || k / split < 256)) break;
      const waves = Math.ceil((tiles * split) / device.units);
      const tileFlops = (2 * tile.m * tile.n * k) / split;
      const reduceSec = split > 1 ? 1e-6 : 0;
      const seconds = (waves * tileFlops) / (unitRate * tile.efficiency) + fillFlops / unitRate + reduceSec;
      if (seconds < computeSec) computeSec = seconds;
    }
  }
  const bytes = operandBytes(shape.dtype);
  const traffic = batch * (m * k * bytes.activation + n * k * bytes.weight + m * n * shape.outBytes * (shape.accumulate ? 2 : 1));
  return {
    computeSec,
    memorySec: traffic / (device.memoryBytesPerSec * streamEfficiency(device)),
    floorSec: kernelFloorSec(device),
  };
}

/** Compute and memory overlap all but perfectly: a high power norm, then the launch. */
export function joinTerms(terms: GemmTerms): number {
  const high = Math.max(terms.computeSec, terms.memorySec);
  const low = Math.min(terms.computeSec, terms.memorySec);
  return terms.floorSec + high * (1 + (low / high) ** 4) ** 0.25;
}
