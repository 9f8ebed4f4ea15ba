// Activations, sums, gates, rotary embedding, heads put together, dropout.
// gelu is the tanh form (GPT-2), quick_gelu x sigmoid(1.702 x), relu2 the square of relu.

import { assert, unreachable } from "@meshwright/core";
import { hashUnit } from "../hash.ts";
import { add, at, clear, type Mat, set } from "./mat.ts";

export type ActivationName = "gelu" | "silu" | "relu" | "relu2" | "quick_gelu" | "tanh";

const geluScale = Math.sqrt(2 / Math.PI);
const geluCubic = 0.044715;

export function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

export function activate(fn: ActivationName, x: number): number {
  switch (fn) {
    case "gelu":
      return 0.5 * x * (1 + Math.tanh(geluScale * (x + geluCubic * x ** 3)));
    case "silu":
      return x * sigmoid(x);
    case "relu":
      return Math.max(0, x);
    case "relu2":
      return Math.max(0, x) ** 2;
    case "quick_gelu":
      return x * sigmoid(1.702 * x);
    case "tanh":
      return Math.tanh(x);
    default:
      return unreachable(fn);
  }
}

export function activationSlope(fn: ActivationName, x: number): number {
  switch (fn) {
    case "gelu": {
      const t = Math.tanh(geluScale * (x + geluCubic * x ** 3));
      return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * geluScale * (1 + 3 * geluCubic * x * x);
    }
    case "silu":
      return sigmoid(x) * (1 + x * (1 - sigmoid(x)));
    case "relu":
      return x > 0 ? 1 : 0;
    case "relu2":
      return 2 * Math.max(0, x);
    case "quick_gelu": {
      const s = sigmoid(1.702 * x);
      return s * (1 + 1.702 * x * (1 - s));
    }
    case "tanh":
      return 1 - Math.tanh(x) ** 2;
    default:
      return unreachable(fn);
  }
}

/** y = act(x), or act(left half of x) * right half when gated; times the row's scale where given. */
export function activation(fn: ActivationName, gated: boolean, x: Mat, y: Mat, rowScale?: Mat): void {
  assert(x.cols === (gated ? 2 : 1) * y.cols, `activation of ${x.cols} columns yields ${y.cols}`);
  for (let i = 0; i < y.rows; i++) {
    const scale = rowScale === undefined ? 1 : at(rowScale, i, 0);
    for (let j = 0; j < y.cols; j++)
      set(y, i, j, scale * activate(fn, at(x, i, j)) * (gated ? at(x, i, y.cols + j) : 1));
  }
}

export function activationBackward(
  fn: ActivationName,
  gated: boolean,
  x: Mat,
  dy: Mat,
  dx: Mat,
  rows?: { readonly scale: Mat; readonly dscale: Mat },
): void {
  for (let i = 0; i < dy.rows; i++) {
    const scale = rows === undefined ? 1 : at(rows.scale, i, 0);
    let dscale = 0;
    for (let j = 0; j < dy.cols; j++) {
      const g = scale * at(dy, i, j);
      const left = at(x, i, j);
      const right = gated ? at(x, i, dy.cols + j) : 1;
      dscale += at(dy, i, j) * activate(fn, left) * right;
      set(dx, i, j, g * activationSlope(fn, left) * right);
      if (gated) set(dx, i, dy.cols + j, g * activate(fn, left));
    }
    if (rows !== undefined) set(rows.dscale, i, 0, dscale);
  }
}

export function addTo(a: Mat, b: Mat, out: Mat): void {
  assert(a.rows === b.rows && a.cols === b.cols, `add ${a.rows} x ${a.cols} and ${b.rows} x ${b.cols}`);
  for (let i = 0; i < a.rows; i++) for (let j = 0; j < a.cols; j++) set(out, i, j, at(a, i, j) + at(b, i, j));
}

export function multiply(a: Mat, b: Mat, out: Mat): void {
  assert(a.rows === b.rows && a.cols === b.cols, `multiply ${a.rows} x ${a.cols} and ${b.rows} x ${b.cols}`);
  for (let i = 0; i < a.rows; i++) for (let j = 0; j < a.cols; j++) set(out, i, j, at(a, i, j) * at(b, i, j));
}

/** out = sigmoid(gate) * x; a gate of one column serves the whole row. */
export function sigmoidGate(gate: Mat, x: Mat, out: Mat): void {
  for (let i = 0; i < x.rows; i++) {
    for (let j = 0; j < x.cols; j++) set(out, i, j, sigmoid(at(gate, i, gate.cols === 1 ? 0 : j)) * at(x, i, j));
  }
}

export function sigmoidGateBackward(gate: Mat, x: Mat, dy: Mat, dgate: Mat, dx: Mat): void {
  for (let i = 0; i < x.rows; i++) {
    let rowSum = 0;
    for (let j = 0; j < x.cols; j++) {
      const s = sigmoid(at(gate, i, gate.cols === 1 ? 0 : j));
      const g = at(dy, i, j);
      const slope = g * at(x, i, j) * s * (1 - s);
      set(dx, i, j, g * s);
      if (gate.cols === 1) rowSum += slope;
      else set(dgate, i, j, slope);
    }
    if (gate.cols === 1) set(dgate, i, 0, rowSum);
  }
}

const ropeTheta = 10000;

export interface RopeShape {
  readonly headDim: number;
  /** First turned column of each head, and how many are turned. */
  readonly from: number;
  readonly ropeDim: number;
  readonly inverse: boolean;
}

/** Turns columns (i, i + ropeDim / 2) behind `from` of each head by position x theta^(-2 i / ropeDim); `inverse` turns back. */
export function rope(x: Mat, out: Mat, position: Int32Array, shape: RopeShape): void {
  const { headDim, from, ropeDim, inverse } = shape;
  assert(
    x.cols % headDim === 0 && position.length === x.rows,
    `rope of ${x.rows} x ${x.cols}, ${position.length} positions`,
  );
  const half = ropeDim / 2;
  for (let row = 0; row < x.rows; row++) {
    for (let head = 0; head < x.cols; head += headDim) {
      for (let i = 0; i < headDim; i++)
        if (i < from || i >= from + ropeDim) set(out, row, head + i, at(x, row, head + i));
      for (let i = 0; i < half; i++) {
        const angle = position[row]! * ropeTheta ** ((-2 * i) / ropeDim) * (inverse ? -1 : 1);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const first = head + from + i;
        const [left, right] = [at(x, row, first), at(x, row, first + half)];
        set(out, row, first, left * c - right * s);
        set(out, row, first + half, left * s + right * c);
      }
    }
  }
}

export interface HeadParts {
  readonly heads: number;
  readonly aDim: number;
  readonly bDim: number;
  /** b has one head, which all heads take. */
  readonly sharedB: boolean;
}

/** Per head out = [a, b]. */
export function headConcat(a: Mat, b: Mat, out: Mat, { heads, aDim, bDim, sharedB }: HeadParts): void {
  for (let row = 0; row < out.rows; row++) {
    for (let head = 0; head < heads; head++) {
      const first = head * (aDim + bDim);
      for (let i = 0; i < aDim; i++) set(out, row, first + i, at(a, row, head * aDim + i));
      for (let i = 0; i < bDim; i++) set(out, row, first + aDim + i, at(b, row, (sharedB ? 0 : head * bDim) + i));
    }
  }
}

/** Per head [a, b] = x; a shared b is the sum over heads. */
export function headSplit(x: Mat, a: Mat, b: Mat, { heads, aDim, bDim, sharedB }: HeadParts): void {
  clear(b);
  for (let row = 0; row < x.rows; row++) {
    for (let head = 0; head < heads; head++) {
      const first = head * (aDim + bDim);
      for (let i = 0; i < aDim; i++) set(a, row, head * aDim + i, at(x, row, first + i));
      for (let i = 0; i < bDim; i++) add(b, row, (sharedB ? 0 : head * bDim) + i, at(x, row, first + aDim + i));
    }
  }
}

export interface HeadRepeats {
  readonly headDim: number;
  readonly repeats: number;
  readonly sum: boolean;
}

/** Each head of x `repeats` times in out; with `sum` each head of out is the sum of `repeats` heads of x. */
export function repeatHeads(x: Mat, out: Mat, { headDim, repeats, sum }: HeadRepeats): void {
  clear(out);
  const wide = sum ? x : out;
  for (let row = 0; row < x.rows; row++) {
    for (let column = 0; column < wide.cols; column++) {
      const head = Math.floor(column / (headDim * repeats));
      const narrow = head * headDim + (column % headDim);
      if (sum) add(out, row, narrow, at(x, row, column));
      else set(out, row, column, at(x, row, narrow));
    }
  }
}

/** Whether dropout at `site` keeps this element: a hash of global token, global column and site alone. */
export function dropoutKeeps(globalToken: number, globalColumn: number, site: number, p: number): boolean {
  return hashUnit("dropout", globalToken, globalColumn, site) >= p;
}

export function dropout(x: Mat, mask: Mat, y: Mat, p: number, keeps: (row: number, col: number) => boolean): void {
  for (let i = 0; i < x.rows; i++) {
    for (let j = 0; j < x.cols; j++) {
      const kept = keeps(i, j);
      set(mask, i, j, kept ? 1 : 0);
      set(y, i, j, kept ? at(x, i, j) / (1 - p) : 0);
    }
  }
}

export function dropoutBackward(dy: Mat, mask: Mat, dx: Mat, p: number): void {
  for (let i = 0; i < dy.rows; i++)
    for (let j = 0; j < dy.cols; j++) set(dx, i, j, (at(dy, i, j) * at(mask, i, j)) / (1 - p));
}
