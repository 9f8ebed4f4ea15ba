// Adafactor (arXiv 1804.04235, algorithm 4): second moments as means of squares over a matrix's rows and columns, averaged over steps with the decay
// 1 - step^-0.8 (section 7.2). A rank has some elements of some matrices: a stretch of its slice.

import { assert } from "@meshwright/core";
import type { Mat } from "./mat.ts";
import type { OptimizerSettings } from "./optimizer.ts";

/** Added to every square (algorithm 4, epsilon 1). */
const floor = 1e-30;

/** Where elements of a rank's slice of a parameter lie. */
export interface MatrixPlace {
  /** Of the slice: matrices (experts) of rows x columns. */
  readonly rows: number;
  readonly columns: number;
  readonly count: number;
  /** Of the whole matrix. */
  readonly allRows: number;
  readonly allColumns: number;
  /** Where in the slice, row-major, the elements start. */
  readonly offset: number;
}

/** Sums of squares by row and by column of the slice, of the elements that are here. @param tail rows from here on count with this weight by column. */
export function squareSums(
  grad: Mat,
  sums: { readonly rows: Mat; readonly columns: Mat },
  place: MatrixPlace,
  gradScale: number,
  tail: { readonly fromRow: number; readonly weight: number } | null,
): void {
  const { rows, columns } = sums;
  for (const m of [rows, columns]) m.data.fill(0, m.offset, m.offset + m.rows * m.cols);
  eachElement(grad, place, (index, row, column, expert) => {
    const square = (grad.data[index]! * gradScale) ** 2 + floor;
    const weight = tail === null || row < tail.fromRow ? 1 : tail.weight;
    rows.data[rows.offset + expert * place.rows + row]! += square;
    columns.data[columns.offset + expert * place.columns + column]! += weight * square;
  });
}

/** One step of a matrix: moments of the slice's rows and columns from the sums of all ranks, then the elements that are here. */
export function factoredStep(
  grad: Mat,
  master: Mat,
  moments: { readonly rows: Mat; readonly columns: Mat },
  sums: { readonly rows: Mat; readonly columns: Mat },
  place: MatrixPlace,
  settings: OptimizerSettings,
): void {
  const { step, learningRate, weightDecay, epsilon, gradScale } = settings;
  const decay = 1 - step ** -0.8;
  average(moments.rows, sums.rows, place.allColumns, decay);
  average(moments.columns, sums.columns, place.allRows, decay);
  // The mean of all squares is the mean of either vector; the one that is whole here.
  const [whole, length] = place.rows === place.allRows ? [moments.rows, place.rows] : [moments.columns, place.columns];
  assert(length === (whole === moments.rows ? place.allRows : place.allColumns), "a matrix is split along one dim");
  const means = Array.from({ length: place.count }, (_, expert) => {
    let sum = 0;
    for (let i = 0; i < length; i++) sum += whole.data[whole.offset + expert * length + i]!;
    return sum / length;
  });
  const { rows, columns } = moments;
  const shift = master.offset - grad.offset;
  eachElement(grad, place, (index, row, column, expert) => {
    const r = rows.data[rows.offset + expert * place.rows + row]!;
    const c = columns.data[columns.offset + expert * place.columns + column]!;
    const update = (grad.data[index]! * gradScale) / (Math.sqrt((r * c) / means[expert]!) + epsilon);
    const at = index + shift;
    master.data[at] = master.data[at]! * (1 - learningRate * weightDecay) - learningRate * update;
  });
}

function average(moments: Mat, sums: Mat, count: number, decay: number): void {
  for (let i = 0; i < moments.rows * moments.cols; i++) {
    const at = moments.offset + i;
    moments.data[at] = decay * moments.data[at]! + ((1 - decay) * sums.data[sums.offset + i]!) / count;
  }
}

/** Calls `visit` for each element that is here and no padding. Elements lie one after another. */
function eachElement(
  m: Mat,
  { rows, columns, count, offset }: MatrixPlace,
  visit: (index: number, row: number, column: number, expert: number) => void,
): void {
  assert(m.stride === m.cols || m.rows === 1, "a parameter's elements lie together");
  const last = Math.min(offset + m.rows * m.cols, rows * columns * count);
  for (let at = offset; at < last; at++) {
    const inMatrix = at % (rows * columns);
    const row = Math.floor(inMatrix / columns);
    visit(m.offset + at - offset, row, inMatrix - row * columns, Math.floor(at / (rows * columns)));
  }
}

/** A vector keeps the moment of every element. */
export function vectorStep(grad: Mat, master: Mat, moment: Mat, settings: OptimizerSettings): void {
  const { step, learningRate, weightDecay, epsilon, gradScale } = settings;
  const decay = 1 - step ** -0.8;
  for (let i = 0; i < grad.rows * grad.cols; i++) {
    const g = grad.data[grad.offset + i]! * gradScale;
    const at = moment.offset + i;
    moment.data[at] = decay * moment.data[at]! + (1 - decay) * (g * g + floor);
    const update = g / (Math.sqrt(moment.data[at]!) + epsilon);
    const to = master.offset + i;
    master.data[to] = master.data[to]! * (1 - learningRate * weightDecay) - learningRate * update;
  }
}
