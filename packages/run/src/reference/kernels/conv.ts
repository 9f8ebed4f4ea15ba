// Depthwise causal convolution along each sequence, silu afterwards: y[t, c] = silu(sum over j of weight[c, j] x[t - K + 1 + j, c]).

import { activate, activationSlope } from "./elementwise.ts";
import { add, at, clear, type Mat, set } from "./mat.ts";

export function conv(x: Mat, weight: Mat, y: Mat, batch: number): void {
  forOutputs(x, batch, (row, c, first) => set(y, row, c, activate("silu", preActivation(x, weight, row, c, first))));
}

/** Writes dx, adds to dweight. */
export function convBackward(x: Mat, weight: Mat, dy: Mat, dx: Mat, dweight: Mat, batch: number): void {
  clear(dx);
  forOutputs(x, batch, (row, c, first) => {
    const g = at(dy, row, c) * activationSlope("silu", preActivation(x, weight, row, c, first));
    for (let j = 0; j < weight.cols; j++) {
      const source = row - weight.cols + 1 + j;
      if (source < first) continue;
      add(dx, source, c, g * at(weight, c, j));
      add(dweight, c, j, g * at(x, source, c));
    }
  });
}

function preActivation(x: Mat, weight: Mat, row: number, c: number, first: number): number {
  let sum = 0;
  for (let j = 0; j < weight.cols; j++) {
    const source = row - weight.cols + 1 + j;
    if (source >= first) sum += at(weight, c, j) * at(x, source, c);
  }
  return sum;
}

function forOutputs(x: Mat, batch: number, visit: (row: number, column: number, firstRow: number) => void): void {
  const length = x.rows / batch;
  for (let row = 0; row < x.rows; row++) for (let c = 0; c < x.cols; c++) visit(row, c, row - (row % length));
}
