// Number formats, with their storage size. Scales of block formats count into `sizeBytes`.

export type DType =
  | "fp64"
  | "fp32"
  | "tf32"
  | "bf16"
  | "fp16"
  | "fp8"
  | "mxfp8"
  | "fp8_block"
  | "nvfp4"
  | "mxfp4"
  | "int8"
  | "int4"
  | "int32";

/** Bytes per element in memory, block scales included (mxfp8: one byte per 32; fp8_block: fp32 per 128x128; nvfp4: one byte per 16). */
export function dtypeBytes(dtype: DType): number {
  switch (dtype) {
    case "fp64":
      return 8;
    case "fp32":
    case "tf32":
    case "int32":
      return 4;
    case "bf16":
    case "fp16":
      return 2;
    case "fp8":
    case "int8":
      return 1;
    case "mxfp8":
      return 1 + 1 / 32;
    case "fp8_block":
      return 1 + 4 / (128 * 128);
    case "nvfp4":
      return 0.5 + 1 / 16;
    case "mxfp4":
      return 0.5 + 1 / 32;
    case "int4":
      return 0.5;
  }
}
