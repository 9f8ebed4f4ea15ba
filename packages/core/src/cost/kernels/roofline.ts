// The physical limits of a device, as every kernel model here uses them: peak rate of a number format, the share of the HBM data-sheet
// bandwidth a streaming kernel reaches, the shortest time a kernel can take. Nothing here knows an operation.
//
// Figures that a data sheet does not give are set per architecture family and documented in docs/cost-kernels.md.

import type { DeviceSpec } from "../../cluster/types.ts";
import type { DType } from "../../units/dtype.ts";
import type { GemmDType } from "../types.ts";

/** Families whose kernels behave alike: same matrix instruction, same cache hierarchy. */
export type ArchFamily =
  | "volta"
  | "ampere"
  | "ampere_gddr"
  | "ada"
  | "hopper"
  | "blackwell"
  | "blackwell_gddr"
  | "cdna"
  | "xe"
  | "tpu"
  | "other";

export function archFamily(device: DeviceSpec): ArchFamily {
  const arch = device.arch.toLowerCase();
  if (arch.includes("volta") || arch.includes("turing")) return "volta";
  if (arch.includes("ampere")) return arch.includes("ga100") ? "ampere" : "ampere_gddr";
  if (arch.includes("ada")) return "ada";
  if (arch.includes("hopper")) return "hopper";
  if (arch.includes("blackwell"))
    return arch.includes("gb202") || arch.includes("gb203") ? "blackwell_gddr" : "blackwell";
  if (arch.includes("cdna")) return "cdna";
  if (arch.includes("xe")) return "xe";
  if (arch.includes("tpu")) return "tpu";
  return "other";
}

/** Bytes per element of the two operands; weight-only formats keep a bf16 activation. Block scales count. */
export function operandBytes(dtype: GemmDType): { readonly activation: number; readonly weight: number } {
  switch (dtype) {
    case "fp32":
    case "tf32":
      return { activation: 4, weight: 4 };
    case "bf16":
    case "fp16":
      return { activation: 2, weight: 2 };
    case "fp8":
    case "int8":
    case "int8_sq":
      return { activation: 1, weight: 1 };
    case "fp8_block":
      return { activation: 1 + 4 / 128, weight: 1 + 4 / (128 * 128) };
    case "mxfp8":
      return { activation: 1 + 1 / 32, weight: 1 + 1 / 32 };
    case "nvfp4":
      return { activation: 0.5 + 1 / 16, weight: 0.5 + 1 / 16 };
    case "mxfp4":
    case "fp4":
      return { activation: 0.5 + 1 / 32, weight: 0.5 + 1 / 32 };
    case "int8_wo":
      return { activation: 2, weight: 1 };
    case "int4_wo":
      return { activation: 2, weight: 0.5 + 2 / 128 };
  }
}

/** Number formats tried in turn for the peak of a GEMM format: native first, then what the operands are widened to. */
const PEAK_ORDER: Readonly<Record<GemmDType, readonly DType[]>> = {
  fp32: ["fp32"],
  tf32: ["tf32", "fp32"],
  bf16: ["bf16", "fp16", "fp32"],
  fp16: ["fp16", "bf16", "fp32"],
  fp8: ["fp8", "bf16", "fp16"],
  fp8_block: ["fp8", "bf16", "fp16"],
  mxfp8: ["mxfp8", "fp8", "bf16", "fp16"],
  nvfp4: ["nvfp4", "mxfp4", "fp8", "bf16", "fp16"],
  mxfp4: ["mxfp4", "nvfp4", "fp8", "bf16", "fp16"],
  fp4: ["mxfp4", "nvfp4", "fp8", "bf16", "fp16"],
  int8: ["int8", "fp8", "bf16", "fp16"],
  int8_sq: ["int8", "fp8", "bf16", "fp16"],
  int8_wo: ["bf16", "fp16", "fp32"],
  int4_wo: ["bf16", "fp16", "fp32"],
};

/** Dense peak at boost clock, FLOP/s, of the fastest way the device has to multiply this format. */
export function peakFlopsPerSec(device: DeviceSpec, dtype: GemmDType): number {
  for (const candidate of PEAK_ORDER[dtype]) {
    const peak = device.peakFlopsPerSec[candidate];
    if (peak !== undefined && peak > 0) return peak;
  }
  return Math.max(...Object.values(device.peakFlopsPerSec).filter((value): value is number => value !== undefined));
}

/** Exponentials one unit starts per clock: 16 special-function lanes of an NVIDIA SM (CUDA C++ Programming Guide, arithmetic instructions), twice that on Blackwell Ultra (NVIDIA's announcement: doubled attention-layer throughput). */
const EXPONENTIALS_PER_CLOCK = 16;
/** 312 TFLOP/s over 108 units (A100 data sheet). */
const A100_UNIT_FLOPS_PER_SEC = 312e12 / 108;
/** Lanes of a TensorCore's vector unit, 8 x 128, each with one transcendental a clock (How to Scale Your Model, chapter 2: the vector unit's shape). */
const TPU_EXPONENTIALS_PER_CLOCK = 1024;
/** FLOPs of the bf16 peak per exponential where units are no SMs: as on an A100, 312 TFLOP/s over 16 x 108 x 1.41 GHz. */
const FLOPS_PER_EXPONENTIAL = 128;

/** Compute units that take tiles of attention. A systolic part has few, which stream tiles through without the prologue of each: as many as make its peak on an A100. */
export function tileUnits(device: DeviceSpec): number {
  if (device.vendor === "NVIDIA" || device.vendor === "AMD" || device.vendor === "Intel") return device.units;
  return Math.max(device.units, peakFlopsPerSec(device, "bf16") / A100_UNIT_FLOPS_PER_SEC);
}

/** Exponentials per second of the whole device. */
export function exponentialsPerSec(device: DeviceSpec): number {
  if (device.arch === "TPU") return TPU_EXPONENTIALS_PER_CLOCK * device.units * device.boostHz;
  if (device.vendor !== "NVIDIA") return peakFlopsPerSec(device, "bf16") / FLOPS_PER_EXPONENTIAL;
  const ultra = device.arch.toLowerCase().includes("blackwell ultra") ? 2 : 1;
  return EXPONENTIALS_PER_CLOCK * ultra * device.units * device.boostHz;
}

/**
 * Bytes per second from L2 at one byte per unit and clock. The crossbar and the load units of a compute unit set this rate, whatever memory lies behind: in units
 * of HBM it would differ by four between parts with HBM and with GDDR. Where units are no SMs or CUs, an eighth of the memory bandwidth.
 */
function l2UnitBytesPerSec(device: DeviceSpec): number {
  return device.vendor === "NVIDIA" || device.vendor === "AMD"
    ? device.units * device.boostHz
    : device.memoryBytesPerSec / 8;
}

/**
 * Seconds of traffic of which `hitFrac` comes from L2.
 *
 * @param stream share of the data-sheet memory bandwidth. @param l2Rate bytes per unit and clock from L2.
 */
export function trafficSec(
  device: DeviceSpec,
  sizeBytes: number,
  hitFrac: number,
  stream: number,
  l2Rate: number,
): number {
  const hbmSec = ((1 - hitFrac) * sizeBytes) / (device.memoryBytesPerSec * stream);
  return hitFrac === 0 ? hbmSec : hbmSec + (hitFrac * sizeBytes) / (l2UnitBytesPerSec(device) * l2Rate);
}

/**
 * Share of the data-sheet bandwidth that a long stream of reads and writes reaches. The rest goes to refresh and read-write turnaround.
 *
 * Sources: elementwise tables at 100 MB and more. A100 residual_add 0.84; Hopper and Blackwell fp8_quant_static 0.87-0.91; A40 gelu 0.82;
 * L40S 0.76 and RTX PRO 6000 0.83 fp8_quant_static. CDNA, TPU and Xe: as HBM of their year, not measured here.
 */
export function streamEfficiency(device: DeviceSpec): number {
  switch (archFamily(device)) {
    case "hopper":
    case "blackwell":
      return 0.89;
    case "ada":
      return 0.77;
    case "blackwell_gddr":
      return 0.83;
    case "ampere_gddr":
      return 0.82;
    case "cdna":
      return 0.8;
    case "tpu":
      return 0.9;
    default:
      return 0.84;
  }
}

/** Shortest time of one kernel under a replayed graph or a full queue: scheduling, first wave, drain. Seconds. */
export function kernelFloorSec(device: DeviceSpec): number {
  switch (archFamily(device)) {
    case "cdna":
      return 3.5e-6;
    case "xe":
      return 6e-6;
    case "tpu":
      return 1.5e-6;
    case "volta":
      return 4e-6;
    default:
      return 2.2e-6;
  }
}
