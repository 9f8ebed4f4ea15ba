// The unsplit model's step of Muon, written out: nothing of the program's ops or kernels is used. One matrix after another, in f64, on arrays of rows.

import type { ParamSlice } from "@meshwright/core";
import type { OptimizerSettings } from "../kernels/optimizer.ts";

/** Whether a parameter is the matrix of a linear map. Tables and convolutions are not. */
export function isLinearMap(name: string, { segments, columns }: ParamSlice): boolean {
  if (/^(embedding\.(table|positions)|head\.table)$|\.conv$/.test(name)) return false;
  return columns > 1 && segments.every(({ rows }) => rows > 1);
}

/** The parameter after a first step (momentum at zero), row-major. */
export function muonStep(
  slice: ParamSlice,
  value: Float64Array,
  gradient: Float64Array,
  settings: OptimizerSettings,
): Float64Array {
  const { learningRate, weightDecay, momentum } = settings;
  const { columns, segments, experts } = slice;
  const updated = Float64Array.from(value);
  let from = 0;
  for (let expert = 0; expert < (experts ?? 1); expert++) {
    for (const { rows } of segments) {
      const direction = Array.from({ length: rows }, (_, i) =>
        Array.from({ length: columns }, (_, j) => (1 + momentum) * gradient[from + i * columns + j]!),
      );
      const turned = rows < columns ? transposed(orthogonal(transposed(direction))) : orthogonal(direction);
      const size = learningRate * 0.2 * Math.sqrt(Math.max(rows, columns));
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < columns; j++) {
          const at = from + i * columns + j;
          updated[at] = value[at]! * (1 - learningRate * weightDecay) - size * turned[i]![j]!;
        }
      }
      from += rows * columns;
    }
  }
  return updated;
}

type Rows = readonly (readonly number[])[];

/** Five steps of X (3.4445 - 4.7750 X^T X + 2.0315 (X^T X)^2): the polynomial stands on the other side than in the kernels, which is the same. */
function orthogonal(matrix: Rows): Rows {
  const norm = Math.sqrt(matrix.flat().reduce((sum, x) => sum + x * x, 0));
  let x: Rows = matrix.map((row) => row.map((value) => value / (norm + 1e-7)));
  for (let step = 0; step < 5; step++) {
    const a = product(transposed(x), x);
    const square = product(a, a);
    const p = a.map((row, i) =>
      row.map((value, j) => (i === j ? 3.4445 : 0) - 4.775 * value + 2.0315 * square[i]![j]!),
    );
    x = product(x, p);
  }
  return x;
}

function transposed(m: Rows): Rows {
  return m[0]!.map((_, j) => m.map((row) => row[j]!));
}

function product(a: Rows, b: Rows): Rows {
  const columns = transposed(b);
  return a.map((row) => columns.map((column) => row.reduce((sum, value, k) => sum + value * column[k]!, 0)));
}
