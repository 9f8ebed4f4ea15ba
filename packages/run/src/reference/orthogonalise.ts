// Muon's matrices out of the slices that ranks hold: each is put together from the parts of all ranks of its axis, orthogonalised, and the rank's own part of
// the result kept.

import { assert, axisSize, coordinateAlong, type NewtonSchulzOp } from "@meshwright/core";
import { type Frame, matOf } from "./frame.ts";
import type { Mat } from "./kernels/mat.ts";
import { muonScale, orthogonalise, roomIn } from "./kernels/newtonSchulz.ts";

/** A window of a matrix where it lies in a slice: [rows, cols] of it come from `offset` on, a row every `stride` elements. */
interface Piece {
  readonly offset: number;
  readonly stride: number;
  readonly rows: number;
  readonly cols: number;
  /** Where in the matrix it belongs. */
  readonly row: number;
  readonly col: number;
}

export function runNewtonSchulz(frame: Frame, rank: number, op: NewtonSchulzOp): void {
  const { mesh, kernels } = frame.run;
  const [x, out, scratch] = [matOf(frame, rank, op.x), matOf(frame, rank, op.out), matOf(frame, rank, op.scratch)];
  const slice = frame.place.block.buffers[op.x]!.param;
  assert(slice !== undefined && x.stride === x.cols && out.stride === out.cols, "a parameter's matrices lie together");
  const ranks = slice.axis === null ? 1 : axisSize(mesh, slice.axis);
  const own = slice.axis === null ? 0 : coordinateAlong(mesh, rank, slice.axis);
  const sliceLength = out.rows * out.cols;
  assert(x.rows * x.cols === ranks * sliceLength, `${slice.name} comes in ${ranks} slices of ${sliceLength}`);
  const numExperts = slice.experts === null ? 1 : slice.experts / mesh.ep;
  const columnsHere = slice.dim === 1 ? slice.columns / ranks : slice.columns;
  for (let expert = 0; expert < numExperts; expert++) {
    let from = (expert * sliceLength) / numExperts;
    for (const { rows, parts } of slice.segments) {
      const splitParts = slice.axis !== null && slice.dim === 0 ? parts : 1;
      const pieceOf = (member: number): Piece =>
        slice.dim === 1
          ? { offset: from, stride: columnsHere, rows, cols: columnsHere, row: 0, col: member * columnsHere }
          : {
              offset: from,
              stride: columnsHere,
              rows: rows / splitParts,
              cols: columnsHere,
              row: (Math.floor((member * splitParts) / ranks) * rows) / splitParts,
              col: 0,
            };
      const room = roomIn(scratch, rows, slice.columns);
      const turned = rows > slice.columns;
      for (let member = 0; member < ranks; member++)
        carry(pieceOf(member), x, member * sliceLength, room.x, turned, "in", 1);
      const result = orthogonalise(room, op.steps, kernels.matmul);
      carry(pieceOf(own), out, 0, result, turned, "out", muonScale(rows, slice.columns));
      from += (rows / splitParts) * columnsHere;
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
    const there = slices.offset + from + piece.offset + i * piece.stride;
    const here = matrix.offset + (row + i) * rowStep + col * colStep;
    for (let j = 0; j < cols; j++) {
      if (way === "in") matrix.data[here + j * colStep] = slices.data[there + j]!;
      else slices.data[there + j] = scale * matrix.data[here + j * colStep]!;
    }
  }
}
