// Rows on their way to experts and back: copied, weighted and added up row by row.

import { type Mat, set } from "../../reference/kernels/mat.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { Reach } from "./reach.ts";

type RoutedKernels = Pick<
  Kernels,
  "combine" | "combineBackward" | "expertBias" | "expertBiasBackward" | "permute" | "permuteBackward" | "regroup"
>;

export function routedKernels({ wasm, elements, mine, rowAt, element }: Reach): RoutedKernels {
  const clear = (m: Mat) => {
    for (let row = 0; row < m.rows; row++)
      elements.fill(0, m.offset + row * m.stride, m.offset + row * m.stride + m.cols);
  };

  function copyRow(x: Mat, from: number, out: Mat, to: number): void {
    const start = x.offset + from * x.stride;
    elements.copyWithin(out.offset + to * out.stride, start, start + x.cols);
  }

  return {
    permute(routing, topk, x, out) {
      if (!mine(x, out)) return plainKernels.permute(routing, topk, x, out);
      for (const [i, copy] of routing.copies.entries()) {
        if (copy < 0) elements.fill(0, out.offset + i * out.stride, out.offset + i * out.stride + out.cols);
        else copyRow(x, Math.floor(copy / topk), out, i);
      }
    },

    permuteBackward(routing, topk, dout, dx) {
      if (!mine(dout, dx)) return plainKernels.permuteBackward(routing, topk, dout, dx);
      clear(dx);
      for (const [i, copy] of routing.copies.entries())
        if (copy >= 0) wasm.scaledRow(rowAt(dx, Math.floor(copy / topk)), rowAt(dout, i), 1, 1, dx.cols);
    },

    combine(routing, topk, x, gates, out) {
      if (!mine(x, gates, out)) return plainKernels.combine(routing, topk, x, gates, out);
      clear(out);
      for (const [i, copy] of routing.copies.entries()) {
        if (copy < 0) continue;
        const row = Math.floor(copy / topk);
        wasm.scaledRow(rowAt(out, row), rowAt(x, i), element(gates, row, copy % topk), 1, out.cols);
      }
    },

    combineBackward(routing, topk, args) {
      const { dout, x, gates, dx, dgates } = args;
      if (!mine(dout, x, gates, dx, dgates)) return plainKernels.combineBackward(routing, topk, args);
      clear(dx);
      clear(dgates);
      for (const [i, copy] of routing.copies.entries()) {
        if (copy < 0) continue;
        const row = Math.floor(copy / topk);
        const slot = copy % topk;
        wasm.scaledRow(rowAt(dx, i), rowAt(dout, row), element(gates, row, slot), 0, dout.cols);
        set(dgates, row, slot, wasm.dotRow(rowAt(x, i), rowAt(dout, row), dout.cols));
      }
    },

    expertBias(perExpert, args, factor) {
      const { x, bias, out, rowScale } = args;
      if (!mine(x, bias, out, rowScale)) return plainKernels.expertBias(perExpert, args, factor);
      let row = 0;
      for (const [expert, count] of perExpert.entries()) {
        for (const end = row + count; row < end; row++) {
          const scale = factor * (rowScale === undefined ? 1 : element(rowScale, row, 0));
          copyRow(x, row, out, row);
          wasm.scaledRow(rowAt(out, row), rowAt(bias, expert), scale, 1, x.cols);
        }
      }
    },

    expertBiasBackward(perExpert, args, factor) {
      const { dy, dbias, weighted } = args;
      if (!mine(dy, dbias, weighted?.bias, weighted?.rowScale, weighted?.drowScale))
        return plainKernels.expertBiasBackward(perExpert, args, factor);
      let row = 0;
      for (const [expert, count] of perExpert.entries()) {
        for (const end = row + count; row < end; row++) {
          const scale = weighted === undefined ? 1 : element(weighted.rowScale, row, 0);
          wasm.scaledRow(rowAt(dbias, expert), rowAt(dy, row), scale, 1, dy.cols);
          if (weighted !== undefined)
            set(
              weighted.drowScale,
              row,
              0,
              factor * wasm.dotRow(rowAt(dy, row), rowAt(weighted.bias, expert), dy.cols),
            );
        }
      }
    },

    regroup(order, direction, x, out) {
      if (!mine(x, out)) return plainKernels.regroup(order, direction, x, out);
      for (const [byExpert, bySource] of order.entries()) {
        if (direction === "toExperts") copyRow(x, bySource, out, byExpert);
        else copyRow(x, byExpert, out, bySource);
      }
    },
  };
}
