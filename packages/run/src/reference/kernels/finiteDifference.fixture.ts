// Checks a backward kernel against central differences of its forward: for loss = sum of weights x outputs with random weights,
// every input element is moved by +-h. Used by the kernels' tests.

import { hashUnit } from "../hash.ts";
import { add, at, type Mat, mat, matFrom } from "./mat.ts";

export function randomMat(name: string, rows: number, cols: number, scale = 1): Mat {
  return matFrom(rows, cols, (i, j) => scale * (2 * hashUnit(name, i, j) - 1));
}

/**
 * Largest relative error of the gradients `backward` returns for `inputs`. `forward` must read `inputs` afresh on every call;
 * `backward` gets the output weights. Errors are relative to the largest gradient of the input.
 */
export function gradientError(
  inputs: readonly Mat[],
  forward: () => Mat,
  backward: (dout: Mat) => readonly Mat[],
): number {
  const shape = forward();
  const weights = randomMat("weights", shape.rows, shape.cols);
  const gradients = backward(weights);
  const loss = () => {
    const out = forward();
    let sum = 0;
    for (let i = 0; i < out.rows; i++) for (let j = 0; j < out.cols; j++) sum += at(out, i, j) * at(weights, i, j);
    return sum;
  };
  const h = 1e-5;
  let worst = 0;
  for (const [n, input] of inputs.entries()) {
    const numeric = mat(input.rows, input.cols);
    let most = 1e-3;
    for (let i = 0; i < input.rows; i++) {
      for (let j = 0; j < input.cols; j++) {
        add(input, i, j, h);
        const above = loss();
        add(input, i, j, -2 * h);
        const below = loss();
        add(input, i, j, h);
        numeric.data[i * input.cols + j] = (above - below) / (2 * h);
        most = Math.max(most, Math.abs(at(numeric, i, j)));
      }
    }
    for (let i = 0; i < input.rows; i++) {
      for (let j = 0; j < input.cols; j++) {
        worst = Math.max(worst, Math.abs(at(numeric, i, j) - at(gradients[n]!, i, j)) / most);
      }
    }
  }
  return worst;
}

/** Largest absolute difference of two matrices of one shape. */
export function maxDifference(a: Mat, b: Mat): number {
  let worst = a.rows === b.rows && a.cols === b.cols ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.rows; i++)
    for (let j = 0; j < a.cols; j++) worst = Math.max(worst, Math.abs(at(a, i, j) - at(b, i, j)));
  return worst;
}
