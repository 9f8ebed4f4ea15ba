// What stands between a forward table and the price of one product in a training step: cold operands, boost clock, layout, alignment, groups.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { GemmQuery } from "../types.ts";
import { GEMM_PARAMS } from "./gemmModel.ts";
import type { GridTable } from "./gridTable.ts";
import { operandBytes, peakFlopsPerSec } from "./roofline.ts";

/** Elements of 16 bits in the widest load (16 bytes) that tensor-core kernels are built on. */
const ALIGNED_ELEMENTS = 8;

/**
 * Loss of leading dimensions that are not multiples of 16 bytes: operands arrive in loads of the largest power of two that divides them, so as many more
 * loads are issued, and the products are bound by them (NVIDIA, Matrix Multiplication Background User's Guide, tensor core requirements). No table here
 * holds such shapes.
 */
function unalignedSlowdown(leading: readonly number[]): number {
  let elements = ALIGNED_ELEMENTS;
  while (leading.some((size) => size % elements !== 0)) elements /= 2;
  return ALIGNED_ELEMENTS / elements;
}

/** Epilogue of C += A B into fp32 beyond its traffic: 4 % on A100 PCIe, 5 % on B200 (gemm_train, NT against TN). */
const WEIGHT_GRADIENT_SLOWDOWN = 1.04;

/** Power norm between loads and math of grouped forward and data-gradient products (grouped_gemm_train on A100 PCIe and B200); a single product fits near 3. */
export const GROUPED_OVERLAP = 1.35;

/** Order of the layout coordinate in tables that have one. */
export const LAYOUT_INDEX: Readonly<Record<GemmQuery["layout"], number>> = { TN: 0, NN: 1, NT: 2 };

/** No product beats the time to read its operands from HBM, less what L2 can hold. Warm residuals could otherwise promise that. */
export function coldFloorSec(device: DeviceSpec, query: GemmQuery): number {
  const bytes = operandBytes(query.dtype);
  const read = query.batch * query.k * (query.m * bytes.activation + query.n * bytes.weight);
  return Math.max(0, read - device.l2Bytes) / device.memoryBytesPerSec;
}

/**
 * Rows at which a constant-operand table still ran at boost clock. Its longer kernels met the power limit too (H100: 838 TFLOP/s at 0.2 ms, 710 at 2 ms;
 * GB200: 1,900 at 0.3 ms, 870 at 2.5 ms), which power.ts states on its own; reading them would count the limit twice.
 */
export function boostRows(device: DeviceSpec, table: GridTable, query: GemmQuery, rows: number): number {
  if (table.packed.operands !== "constant") return rows;
  const limit = (BOOST_SEC * peakFlopsPerSec(device, query.dtype)) / (2 * query.n * query.k);
  return Math.min(rows, Math.max(MIN_BOOST_ROWS, Math.floor(limit / 8) * 8));
}
const BOOST_SEC = 0.2e-3;
const MIN_BOOST_ROWS = 512;

/**
 * A table's parameters without the launch of the quantisation kernel that its floor holds, and with looser overlap where groups follow each other.
 * Remembered while the table lives.
 *
 * @param launchUs microseconds to take off the floor. @param maxOverlap upper bound of the power norm.
 */
export function adjustedParams(params: readonly number[], launchUs: number, maxOverlap: number): readonly number[] {
  if (launchUs === 0 && maxOverlap === Number.POSITIVE_INFINITY) return params;
  let variants = adjusted.get(params);
  if (variants === undefined) {
    variants = new Map();
    adjusted.set(params, variants);
  }
  const key = `${launchUs} ${maxOverlap}`;
  let copy = variants.get(key);
  if (copy === undefined) {
    copy = params.map((value, index) => {
      if (index === FLOOR_INDEX && launchUs > 0) return Math.max(launchUs, value - launchUs);
      return index === OVERLAP_INDEX ? Math.min(value, maxOverlap) : value;
    });
    variants.set(key, copy);
  }
  return copy;
}
const adjusted = new WeakMap<readonly number[], Map<string, readonly number[]>>();
const OVERLAP_INDEX = GEMM_PARAMS.findIndex(({ name }) => name === "overlap");
const FLOOR_INDEX = GEMM_PARAMS.findIndex(({ name }) => name === "floorUs");

/** Factor of layout and alignment on the price of a forward product. */
export function layoutSlowdown(query: GemmQuery): number {
  const leading =
    query.layout === "TN" ? [query.k, query.n] : query.layout === "NN" ? [query.k, query.n] : [query.m, query.n];
  return unalignedSlowdown(leading) * (query.layout === "NT" && query.accumulate ? WEIGHT_GRADIENT_SLOWDOWN : 1);
}
