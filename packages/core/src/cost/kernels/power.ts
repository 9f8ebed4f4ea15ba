// The clock a part sustains under matrix work with real data.
//
// Switching energy depends on the operands: constant or zero matrices toggle few wires, so benchmarks of inference engines that leave the
// weights uninitialised run at boost clock where training with real values hits the power limit. At full load
//
//     idle + E * peak * utilisation * clock^gamma <= TDP        (clock relative to boost)
//
// E is the energy of one FLOP with random operands at boost clock, gamma follows from voltage scaling with frequency (dynamic power f V^2).
// Neglected: HBM and link power, thermal drift, part-to-part spread (a few per cent).

import type { DeviceSpec } from "../../cluster/types.ts";
import type { GemmDType } from "../types.ts";
import { type ArchFamily, archFamily, peakFlopsPerSec } from "./roofline.ts";

/** What an integrator may set; every field has a documented default. */
export interface PowerConditions {
  /** Clock relative to boost, given instead of derived: 1 switches the power limit off. */
  readonly clockFrac?: number;
  /** Power limit instead of the data sheet's TDP, watts. */
  readonly powerCapWatts?: number;
  /** Joules per bf16 FLOP with random operands at boost clock, instead of the family's. */
  readonly joulesPerFlop?: number;
}

/** Dynamic power grows with clock^GAMMA near boost: P = C f V^2 with V about f^0.75 in the upper half of the range. */
export const POWER_EXPONENT = 2.5;

/**
 * Joules per dense bf16 FLOP, random operands, boost clock.
 * ampere: A100 PCIe (300 W) runs large products 1.07 times slower than A100 SXM (400 W), which does not throttle (gemm_train/a100_pcie against
 * gemm/a100_sxm). hopper: kernels alone say 1.04-1.45 (random data 9-20 % slower than the constant-weight table); the clock sustained in long training
 * (docs/accuracy.md) decides. blackwell: random-data training products (gemm_train/b200_sxm) say 1.15-1.3, training rows a little more.
 * Others: scaled by process node.
 */
const JOULES_PER_FLOP: Readonly<Record<ArchFamily, number>> = {
  volta: 1.7e-12,
  ampere: 1.19e-12,
  ampere_gddr: 1.5e-12,
  ada: 0.95e-12,
  hopper: 1.4e-12,
  blackwell: 1.44e-12,
  blackwell_gddr: 0.95e-12,
  cdna: 0.85e-12,
  xe: 1.3e-12,
  tpu: 0.5e-12,
  other: 1e-12,
};

/**
 * Energy of one FLOP relative to bf16 goes with operand width to this power: wires and registers go with the width, multipliers with its square. Training rows
 * in fp8 and nvfp4 ask for the square (docs/accuracy.md).
 */
const WIDTH_EXPONENT = 2;

/**
 * An fp32 FMA of a vector lane over the bf16 tensor instruction, per FLOP. Fetch, decode and register operands of an instruction cost about 30 pJ beside 5 pJ of
 * multiplying and adding (W. Dally, Hot Chips 2023, 45 nm energies), and serve 2 FLOPs instead of 128: 17 pJ against 1 at the instruction. Shared memory, caches
 * and leakage add alike to both. V100 runs fp32 products at boost clock within its 300 W, which bounds the ratio by about 11.6; T4, whose clock falls, sets it
 * near that. Chosen with the fp32 tables of both in view, so what V100 errs when left out is not independent of it.
 */
const VECTOR_FMA_RATIO = 11.5;

function energyRatio(device: DeviceSpec, dtype: GemmDType): number {
  switch (dtype) {
    case "fp32":
      return device.vendor === "NVIDIA" ? VECTOR_FMA_RATIO : 4;
    case "tf32":
      return 2;
    case "fp8":
    case "fp8_block":
    case "mxfp8":
    case "int8":
    case "int8_sq":
      return 0.5 ** WIDTH_EXPONENT;
    case "nvfp4":
    case "mxfp4":
    case "fp4":
      return 0.25 ** WIDTH_EXPONENT;
    default:
      return 1;
  }
}

/**
 * Sustained clock relative to boost, 0..1, of a kernel that keeps `utilisationFrac` of the peak of `dtype` busy at boost clock with random operands.
 */
export function sustainedClockFrac(
  device: DeviceSpec,
  dtype: GemmDType,
  utilisationFrac: number,
  conditions: PowerConditions = {},
): number {
  if (conditions.clockFrac !== undefined) return conditions.clockFrac;
  const capWatts = conditions.powerCapWatts ?? device.tdpWatts;
  if (!(capWatts > device.idleWatts)) return 1;
  const joules = conditions.joulesPerFlop ?? JOULES_PER_FLOP[archFamily(device)];
  const boostWatts =
    joules * energyRatio(device, dtype) * peakFlopsPerSec(device, dtype) * Math.max(0.01, utilisationFrac);
  return Math.min(1, ((capWatts - device.idleWatts) / boostWatts) ** (1 / POWER_EXPONENT));
}

/**
 * Share of the peak that a kernel would keep busy at boost clock when under its power limit it was measured at `measuredFrac`: u with u x clock(u) = measured.
 * Never more than the whole peak.
 */
export function boostUtilisation(device: DeviceSpec, dtype: GemmDType, measuredFrac: number): number {
  const clock = sustainedClockFrac(device, dtype, measuredFrac);
  // Under the limit clock(u) goes with u^(-1/gamma), so u x clock(u) with u^(1 - 1/gamma).
  return clock === 1 ? measuredFrac : Math.min(1, measuredFrac * clock ** (-POWER_EXPONENT / (POWER_EXPONENT - 1)));
}

/**
 * Joules per byte moved through HBM, device side (interface and array; 4-7 pJ per bit for HBM2e to HBM3e, GDDR near 8: O'Connor et al., MICRO 2017, and
 * vendors' later statements).
 */
function joulesPerByte(device: DeviceSpec): number {
  const family = archFamily(device);
  if (family === "ampere_gddr" || family === "ada" || family === "blackwell_gddr") return 64e-12;
  return family === "volta" || family === "ampere" ? 56e-12 : 40e-12;
}

/** Dynamic energy of work at boost clock with real operands, joules: its FLOPs in `dtype` and its bytes through HBM. */
export function dynamicJoules(
  device: DeviceSpec,
  work: { readonly dtype: GemmDType; readonly workFlops: number; readonly sizeBytes: number },
): number {
  return (
    JOULES_PER_FLOP[archFamily(device)] * energyRatio(device, work.dtype) * work.workFlops +
    joulesPerByte(device) * work.sizeBytes
  );
}
