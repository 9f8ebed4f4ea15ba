// Muon's matrices out of the parts that ranks hold: each is put together from the parts of all ranks of its axis, orthogonalised, and the rank's own part of
// the result kept. Of dealt matrices a rank has those that it owns.

import { assert, axisSize, coordinateAlong, muonMatrices, type NewtonSchulzOp } from "@meshwright/core";
import { type Frame, matOf } from "./frame.ts";
import type { Mat } from "./kernels/mat.ts";
import { muonScale, orthogonalise, roomIn } from "./kernels/newtonSchulz.ts";

/** A window of a matrix where it lies in a rank's part: [rows, cols] of it come from `offset` on. */
interface Piece {
  readonly offset: number;
  readonly rows: number;
  readonly cols: number;
  /** Where in the matrix it belongs. */
  readonly row: number;
  readonly col: number;
}

export function runNewtonSchulz(frame: Frame, rank: number, op: NewtonSchulzOp): void {
  const { mesh, kernels } = frame.run;
  const [x, out, scratch] = [matOf(frame, rank, op.x), matOf(frame, rank, op.out), matOf(frame, rank, op.scratch)];
  assert(x.stride === x.cols && out.stride === out.cols, "a rank's matrices lie together");
  const partLength = out.rows * out.cols;
  const mine = op.deal === null ? 0 : coordinateAlong(mesh, rank, op.deal.axis);
  let offset = 0;
  for (const [p, slice] of op.slices.entries()) {
    const ranks = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
    const own = slice.axis === null ? 0 : coordinateAlong(mesh, rank, slice.axis);
    assert(x.rows * x.cols === ranks * partLength, `${slice.name} comes in ${ranks} parts of ${partLength}`);
    for (const [m, { rows, columns, length }] of muonMatrices(slice, mesh).entries()) {
      if (op.deal !== null && op.deal.owners[p]![m] !== mine) continue;
      const pieceOf = (member: number): Piece => {
        if (slice.dim === 1 && ranks > 1) {
          const cols = columns / ranks;
          return { offset, rows, cols, row: 0, col: member * cols };
        }
        const here = length / columns;
        // Neighbours may hold the same rows.
        const row = Math.floor((member * rows) / (ranks * here)) * here;
        return { offset, rows: here, cols: columns, row, col: 0 };
      };
      const room = roomIn(scratch, rows, columns);
      const turned = rows > columns;
      for (let member = 0; member < ranks; member++)
        carry(pieceOf(member), x, member * partLength, room.x, turned, "in", 1);
      const result = orthogonalise(room, op.steps, kernels.matmul);
      carry(pieceOf(own), out, 0, result, turned, "out", muonScale(rows, columns));
      offset += length;
    }
  }
}

/** Copies a piece from a slice into its matrix, which may lie transposed, or back. */
function carry(
  piece: Piece,
  slices: Mat,
  from: number,
  matrix: Mat,
  turned: boolean,
  way: "in" | "out",
  scale: number,
): void {
  const { rows, cols, row, col } = piece;
  const [rowStep, colStep] = turned ? [1, matrix.stride] : [matrix.stride, 1];
  for (let i = 0; i < rows; i++) {
    const there = slices.offset + from + piece.offset + i * cols;
    const here = matrix.offset + (row + i) * rowStep + col * colStep;
    for (let j = 0; j < cols; j++) {
      if (way === "in") matrix.data[here + j * colStep] = slices.data[there + j]!;
      else slices.data[there + j] = scale * matrix.data[here + j * colStep]!;
    }
  }
}
