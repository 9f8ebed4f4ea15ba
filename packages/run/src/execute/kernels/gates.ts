// Gates, dropout's gradient, the gradient of softmax, heads put together and taken apart, momentum.

import { columnsOf, type Mat } from "../../reference/kernels/mat.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { Reach } from "./reach.ts";

type GateKernels = Pick<Kernels, "dropoutBackward" | "headConcat" | "headSplit" | "sigmoidGate" | "softmaxBackward">;

export function gateKernels({ wasm, elements, mine, at, rowAt }: Reach): GateKernels {
  function copy(x: Mat, out: Mat): void {
    for (let row = 0; row < x.rows; row++) {
      const from = x.offset + row * x.stride;
      elements.copyWithin(out.offset + row * out.stride, from, from + x.cols);
    }
  }

  return {
    sigmoidGate: (gate, x, out) => {
      if (!mine(gate, x, out)) return plainKernels.sigmoidGate(gate, x, out);
      wasm.sigmoidGate(
        ...[at(gate), gate.stride, gate.cols === 1 ? 0 : 1, at(x), x.stride, at(out), out.stride, x.rows, x.cols],
      );
    },

    dropoutBackward: (dy, mask, dx, p) => {
      if (!mine(dy, mask, dx)) return plainKernels.dropoutBackward(dy, mask, dx, p);
      wasm.masked(at(dy), dy.stride, at(mask), mask.stride, at(dx), dx.stride, 1 / (1 - p), dy.rows, dy.cols);
    },

    softmaxBackward: (y, dy, dx) => {
      if (!mine(y, dy, dx)) return plainKernels.softmaxBackward(y, dy, dx);
      wasm.softmaxBackward(at(y), y.stride, at(dy), dy.stride, at(dx), dx.stride, y.rows, y.cols);
    },

    headConcat: (a, b, out, parts) => {
      if (!mine(a, b, out)) return plainKernels.headConcat(a, b, out, parts);
      const { heads, aDim, bDim, sharedB } = parts;
      for (let head = 0; head < heads; head++) {
        const to = head * (aDim + bDim);
        copy(columnsOf(a, head * aDim, aDim), columnsOf(out, to, aDim));
        copy(columnsOf(b, sharedB ? 0 : head * bDim, bDim), columnsOf(out, to + aDim, bDim));
      }
    },

    headSplit: (x, a, b, parts) => {
      if (!mine(x, a, b)) return plainKernels.headSplit(x, a, b, parts);
      const { heads, aDim, bDim, sharedB } = parts;
      for (let head = 0; head < heads; head++) {
        const from = head * (aDim + bDim);
        copy(columnsOf(x, from, aDim), columnsOf(a, head * aDim, aDim));
        const part = columnsOf(x, from + aDim, bDim);
        const to = columnsOf(b, sharedB ? 0 : head * bDim, bDim);
        if (!sharedB || head === 0) copy(part, to);
        else for (let row = 0; row < x.rows; row++) wasm.scaledRow(rowAt(to, row), rowAt(part, row), 1, 1, bDim);
      }
    },
  };
}
