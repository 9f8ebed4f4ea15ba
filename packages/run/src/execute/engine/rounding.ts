// What a number format leaves of f32 values: after each op, what it wrote into a buffer of a narrower format is rounded to that format's values (to the
// nearest, ties to even) and kept in f32.
//
// bf16 and fp16 round each value alone; fp16 overflows to infinity. Formats of 8 and 4 bits are scaled so that the largest value of a tensor (fp8), of a
// block of 32 along the rows (mxfp8, mxfp4), of 16 (nvfp4) or of a tile of 128 x 128 (fp8_block) becomes the format's largest: e4m3 for 8 bits, e2m1 for
// 4. Scales of mx formats are powers of two; others are not rounded themselves. Sources: OCP Microscaling Formats v1.0; arXiv 2209.05433 (e4m3).
// Integer formats hold ids and masks here and are left alone.

import { type DType, type Op, opAccess } from "@meshwright/core";
import type { Frame } from "../../reference/frame.ts";
import { matOf } from "../../reference/frame.ts";
import type { Mat } from "../../reference/kernels/mat.ts";

/** Mantissa bits, least normal exponent and largest value. */
interface Format {
  readonly mantissaBits: number;
  readonly minExponent: number;
  readonly max: number;
}

const e4m3: Format = { mantissaBits: 3, minExponent: -6, max: 448 };
const e2m1: Format = { mantissaBits: 1, minExponent: 0, max: 6 };

interface Scaled {
  readonly format: Format;
  readonly blockRows: number;
  readonly blockCols: number;
  readonly powerOfTwo: boolean;
}

const whole = Number.POSITIVE_INFINITY;
const scaledFormats: Partial<Record<DType, Scaled>> = {
  fp8: { format: e4m3, blockRows: whole, blockCols: whole, powerOfTwo: false },
  fp8_block: { format: e4m3, blockRows: 128, blockCols: 128, powerOfTwo: false },
  mxfp8: { format: e4m3, blockRows: 1, blockCols: 32, powerOfTwo: true },
  nvfp4: { format: e2m1, blockRows: 1, blockCols: 16, powerOfTwo: false },
  mxfp4: { format: e2m1, blockRows: 1, blockCols: 32, powerOfTwo: true },
};

/** Whether values of a format differ from those of f32. */
export function isNarrow(dtype: DType): boolean {
  return dtype === "bf16" || dtype === "fp16" || dtype === "tf32" || scaledFormats[dtype] !== undefined;
}

/** Rounds what an op wrote. */
export function roundWrites(frame: Frame, rank: number, op: Op): void {
  for (const id of opAccess(op).writes) {
    const { dtype } = frame.place.block.buffers[id]!;
    if (isNarrow(dtype)) roundMat(matOf(frame, rank, id), dtype);
  }
}

/** A flat list, as it travels. */
export function roundValues(values: Float32Array, dtype: DType): void {
  if (isNarrow(dtype))
    roundMat({ data: values, rows: 1, cols: values.length, stride: values.length, offset: 0 }, dtype);
}

const bits = new Uint32Array(1);
const floats = new Float32Array(bits.buffer);

export function roundMat(m: Mat, dtype: DType): void {
  const scaled = scaledFormats[dtype];
  if (scaled !== undefined) return roundBlocks(m, scaled);
  if (dtype === "fp16") return eachRow(m, roundFp16);
  if (dtype === "bf16") return eachRow(m, (data, from, to) => roundMantissa(data, from, to, 16));
  if (dtype === "tf32") return eachRow(m, (data, from, to) => roundMantissa(data, from, to, 13));
}

function eachRow(m: Mat, round: (data: Mat["data"], from: number, to: number) => void): void {
  if (m.stride === m.cols || m.rows === 1) return round(m.data, m.offset, m.offset + m.rows * m.cols);
  for (let row = 0; row < m.rows; row++) {
    const from = m.offset + row * m.stride;
    round(m.data, from, from + m.cols);
  }
}

/** Drops the last bits of f32's mantissa; the exponent's range is f32's own. */
function roundMantissa(data: Mat["data"], from: number, to: number, dropped: number): void {
  const half = (1 << (dropped - 1)) - 1;
  const mask = ~((1 << dropped) - 1);
  for (let i = from; i < to; i++) {
    floats[0] = data[i]!;
    const u = bits[0]!;
    if ((u & 0x7f800000) === 0x7f800000) continue; // infinity and NaN
    bits[0] = (u + half + ((u >>> dropped) & 1)) & mask;
    data[i] = floats[0]!;
  }
}

const fp16: Format = { mantissaBits: 10, minExponent: -14, max: 65504 };

function roundFp16(data: Mat["data"], from: number, to: number): void {
  for (let i = from; i < to; i++) {
    const value = data[i]!;
    const rounded = nearest(value, fp16);
    data[i] = Math.abs(rounded) > fp16.max ? Math.sign(value) * Number.POSITIVE_INFINITY : rounded;
  }
}

/** Nearest value of a format whose exponent has no upper bound. */
function nearest(value: number, { mantissaBits, minExponent }: Format): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  floats[0] = Math.abs(value);
  const exponent = Math.max(minExponent, (bits[0]! >>> 23) - 127);
  const step = 2 ** (exponent - mantissaBits);
  const scaled = value / step;
  const floor = Math.floor(scaled);
  const rest = scaled - floor;
  const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
  return (up ? floor + 1 : floor) * step;
}

function roundBlocks(m: Mat, { format, blockRows, blockCols, powerOfTwo }: Scaled): void {
  const [rows, cols] = [Math.min(blockRows, m.rows), Math.min(blockCols, m.cols)];
  for (let row = 0; row < m.rows; row += rows) {
    for (let col = 0; col < m.cols; col += cols) {
      const [lastRow, lastCol] = [Math.min(m.rows, row + rows), Math.min(m.cols, col + cols)];
      let most = 0;
      for (let i = row; i < lastRow; i++)
        for (let j = col; j < lastCol; j++) most = Math.max(most, Math.abs(m.data[m.offset + i * m.stride + j]!));
      // All zero, or not finite: nothing to scale by.
      if (!(most > 0) || most === Number.POSITIVE_INFINITY) continue;
      let scale = most / format.max;
      if (powerOfTwo) scale = 2 ** Math.ceil(Math.log2(scale));
      for (let i = row; i < lastRow; i++) {
        for (let j = col; j < lastCol; j++) {
          const at = m.offset + i * m.stride + j;
          m.data[at] = nearest(m.data[at]! / scale, format) * scale;
        }
      }
    }
  }
}
