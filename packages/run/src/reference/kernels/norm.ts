// RMSNorm and LayerNorm over groups of `width` columns (0: the whole row). The weight (and bias) is as wide as a group and serves
// all of them, or as wide as the row.

import { assert } from "@meshwright/core";
import { add, at, type Mat, set } from "./mat.ts";

const normEpsilon = 1e-5;

export type NormName = "rmsnorm" | "layernorm";

/** @param normed takes norm(x) before weight and bias, where something is to keep it. */
export function norm(
  name: NormName,
  x: Mat,
  weight: Mat,
  bias: Mat | undefined,
  y: Mat,
  width: number,
  normed?: Mat,
): void {
  forGroups(x, weight, width, (row, from, n) => {
    const { mean, inverse } = statistics(name, x, row, from, n);
    for (let j = 0; j < n; j++) {
      const w = (from + j) % weight.cols;
      const hat = (at(x, row, from + j) - mean) * inverse;
      if (normed !== undefined) set(normed, row, from + j, hat);
      set(y, row, from + j, hat * at(weight, 0, w) + (bias === undefined ? 0 : at(bias, 0, w)));
    }
  });
}

/** dx is written, dweight and dbias are added to. */
export function normBackward(
  name: NormName,
  args: {
    readonly x: Mat;
    readonly weight: Mat;
    readonly dy: Mat;
    readonly dx: Mat;
    readonly dweight: Mat;
    readonly dbias: Mat | undefined;
    /** norm(x), where forward kept it. */
    readonly normed?: Mat | undefined;
    readonly width: number;
  },
): void {
  const { x, weight, dy, dx, dweight, dbias, normed, width } = args;
  forGroups(x, weight, width, (row, from, n) => {
    const { mean, inverse } = statistics(name, x, row, from, n);
    const hat = new Float64Array(n);
    const dhat = new Float64Array(n);
    let dot = 0;
    let sum = 0;
    for (let j = 0; j < n; j++) {
      const w = (from + j) % weight.cols;
      const g = at(dy, row, from + j);
      hat[j] = normed === undefined ? (at(x, row, from + j) - mean) * inverse : at(normed, row, from + j);
      dhat[j] = g * at(weight, 0, w);
      dot += hat[j]! * dhat[j]!;
      sum += dhat[j]!;
      add(dweight, 0, w, g * hat[j]!);
      if (dbias !== undefined) add(dbias, 0, w, g);
    }
    const meanGrad = name === "layernorm" ? sum / n : 0;
    for (let j = 0; j < n; j++) set(dx, row, from + j, inverse * (dhat[j]! - meanGrad - (hat[j]! * dot) / n));
  });
}

function statistics(name: NormName, x: Mat, row: number, from: number, n: number): { mean: number; inverse: number } {
  let mean = 0;
  if (name === "layernorm") {
    for (let j = 0; j < n; j++) mean += at(x, row, from + j);
    mean /= n;
  }
  let variance = 0;
  for (let j = 0; j < n; j++) variance += (at(x, row, from + j) - mean) ** 2;
  return { mean, inverse: 1 / Math.sqrt(variance / n + normEpsilon) };
}

function forGroups(x: Mat, weight: Mat, width: number, visit: (row: number, from: number, n: number) => void): void {
  const n = width === 0 ? x.cols : width;
  assert(
    x.cols % n === 0 && (weight.cols === n || weight.cols === x.cols),
    `norm groups of ${n} in ${x.cols} columns, ${weight.cols} weights`,
  );
  for (let row = 0; row < x.rows; row++) for (let from = 0; from < x.cols; from += n) visit(row, from, n);
}
