// The physics of one matrix product: tiles on compute units in waves, operands from HBM or L2, one launch.
//
// The library picks the tile that finishes first, so does the model: for each tile shape it counts waves, prices a wave by the tile's own
// efficiency (small tiles re-read more and issue less) and keeps the minimum. k is split over units when the output has few tiles.
// Ten parameters, all dimensionless or microseconds, are fitted per table by scripts/calibrateKernels.ts; a device without a table takes a
// sibling's, since they are relative to its own peak, bandwidth and L2. Neglected: rasterisation order, stream-k remainders.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { GemmDType } from "../types.ts";
import { operandBytes, peakFlopsPerSec, trafficSec } from "./roofline.ts";

export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly batch: number;
  readonly dtype: GemmDType;
  readonly outBytes: number;
  /** C is read as well as written. */
  readonly accumulate: boolean;
  /** Weight copies the measurement rotated over; 0 = cold, nothing survives in L2. */
  readonly warmCopies: number;
  /** Bytes of quantising the activation inside the call. */
  readonly quantisationBytes: number;
}

/** Names, units and a starting point of the parameters, in order. */
export const GEMM_PARAMS = [
  { name: "mainLoop", start: 0.85, note: "share of the peak the main loop of the largest tile sustains" },
  { name: "tileExponent", start: 0.06, note: "efficiency of a smaller tile = (area / 128 / 256) ^ this" },
  { name: "fillK", start: 140, note: "k steps lost per tile to prologue and epilogue" },
  { name: "floorUs", start: 2.5, note: "launch, first wave and drain, microseconds" },
  { name: "splitUs", start: 3, note: "reduction after splitting k, microseconds" },
  { name: "stream", start: 0.85, note: "share of the data-sheet bandwidth" },
  { name: "l2Rate", start: 16, note: "bytes per unit and clock from L2" },
  { name: "l2Share", start: 0.6, note: "share of L2 that keeps operands between calls" },
  { name: "overlap", start: 3, note: "power norm joining compute and memory time; large = perfect overlap" },
  { name: "skinnyExponent", start: 0.9, note: "further loss of tiles with fewer than 64 rows" },
] as const;

/** Tile shapes (rows, columns) that vendor libraries choose from. */
const TILES: readonly (readonly [number, number])[] = [
  [256, 128],
  [128, 256],
  [128, 128],
  [128, 64],
  [64, 128],
  [64, 64],
  [64, 256],
  [32, 128],
  [16, 128],
  [32, 64],
  [16, 64],
];
const LARGEST_TILE = 128 * 256;
const MAX_SPLIT = 32;
const MIN_SPLIT_K = 128;

/** Efficiency of every tile shape under one set of parameters, remembered while the parameters live. */
function tileEfficiencies(params: readonly number[], tileExponent: number, skinnyExponent: number): readonly number[] {
  let found = efficienciesOf.get(params);
  if (found === undefined) {
    found = TILES.map(
      ([tileM, tileN]) =>
        ((tileM * tileN) / LARGEST_TILE) ** tileExponent * (tileM < 64 ? (tileM / 64) ** skinnyExponent : 1),
    );
    efficienciesOf.set(params, found);
  }
  return found;
}
const efficienciesOf = new WeakMap<readonly number[], readonly number[]>();

type Params = [number, number, number, number, number, number, number, number, number, number];

/** Compute time of the tile and split that finish first, and the cells of C that its whole tiles compute, padding included. */
function fastestTile(
  device: DeviceSpec,
  shape: GemmShape,
  params: readonly number[],
  clockFrac: number,
): { readonly computeSec: number; readonly computedCells: number } {
  const [mainLoop, tileExponent, fillK, , splitUs, , , , , skinnyExponent] = params as readonly number[] as Params;
  const { m, n, k, batch } = shape;
  const units = device.units;
  const unitRate = (peakFlopsPerSec(device, shape.dtype) * clockFrac * mainLoop) / units;
  let computeSec = Number.POSITIVE_INFINITY;
  let computedCells = 0;
  const efficiencies = tileEfficiencies(params, tileExponent, skinnyExponent);
  for (let i = 0; i < TILES.length; i++) {
    const [tileM, tileN] = TILES[i] as readonly [number, number];
    const area = tileM * tileN;
    const efficiency = efficiencies[i] as number;
    const tiles = Math.ceil(m / tileM) * Math.ceil(n / tileN) * batch;
    const stepSec = (2 * area) / (unitRate * efficiency);
    for (let split = 1; split <= MAX_SPLIT; split *= 2) {
      if (split > 1 && (tiles * split > 2 * units || k < MIN_SPLIT_K * split)) break;
      const seconds =
        Math.ceil((tiles * split) / units) * stepSec * (k / split + fillK) + (split > 1 ? splitUs * 1e-6 : 0);
      if (seconds < computeSec) {
        computeSec = seconds;
        computedCells = tiles * area;
      }
    }
  }
  return { computeSec, computedCells };
}

/** FLOPs the device issues for a product: those of whole tiles. */
export function issuedFlops(device: DeviceSpec, shape: GemmShape, params: readonly number[]): number {
  return 2 * fastestTile(device, shape, params, 1).computedCells * shape.k;
}

/** Seconds of one product by tile physics. `clockFrac` scales the matrix units only (power.ts). */
export function gemmSeconds(device: DeviceSpec, shape: GemmShape, params: readonly number[], clockFrac = 1): number {
  const [, , , floorUs, , stream, l2Rate, l2Share, overlap] = params as readonly number[] as Params;
  const { m, n, k, batch } = shape;
  const computeSec = fastestTile(device, shape, params, clockFrac).computeSec;
  const bytes = operandBytes(shape.dtype);
  const weightBytes = batch * n * k * bytes.weight;
  const movedBytes =
    batch * (m * k * bytes.activation + m * n * shape.outBytes * (shape.accumulate ? 2 : 1)) + shape.quantisationBytes;
  const hit =
    shape.warmCopies > 0
      ? Math.min(1, (l2Share * device.l2Bytes) / (shape.warmCopies * weightBytes + movedBytes)) ** 2
      : 0;
  const memorySec = trafficSec(device, weightBytes + movedBytes, hit, stream, l2Rate);
  const high = Math.max(computeSec, memorySec);
  const low = Math.min(computeSec, memorySec);
  return floorUs * 1e-6 + high * (1 + (low / high) ** overlap) ** (1 / overlap);
}
