// The unsplit model's first step of Adafactor (moments at zero, so they are this step's means), written out.

import type { ParamSlice } from "@meshwright/core";
import type { OptimizerSettings } from "../kernels/optimizer.ts";

export function adafactorStep(
  { segments, columns, experts }: ParamSlice,
  value: Float64Array,
  gradient: Float64Array,
  { learningRate, weightDecay, epsilon }: OptimizerSettings,
): Float64Array {
  const rows = segments.reduce((sum, segment) => sum + segment.rows, 0);
  const size = rows * columns;
  const squares = gradient.map((g) => g * g + 1e-30);
  const mean = (indices: readonly number[]) => indices.reduce((sum, i) => sum + squares[i]!, 0) / indices.length;
  const range = (length: number) => Array.from({ length }, (_, i) => i);
  const variance = new Float64Array(gradient.length);
  for (let expert = 0; expert < (experts ?? 1); expert++) {
    const from = expert * size;
    if (columns === 1) {
      for (let i = from; i < from + size; i++) variance[i] = squares[i]!;
      continue;
    }
    const byRow = range(rows).map((i) => mean(range(columns).map((j) => from + i * columns + j)));
    const byColumn = range(columns).map((j) => mean(range(rows).map((i) => from + i * columns + j)));
    const all = mean(range(size).map((i) => from + i));
    for (let i = 0; i < size; i++)
      variance[from + i] = (byRow[Math.floor(i / columns)]! * byColumn[i % columns]!) / all;
  }
  return value.map(
    (before, i) =>
      before * (1 - learningRate * weightDecay) - (learningRate * gradient[i]!) / (Math.sqrt(variance[i]!) + epsilon),
  );
}
