// Activations of any kind and width on the fast kernels.

import { assert } from "@meshwright/core";
import type { ActivationName } from "../../reference/kernels/elementwise.ts";
import { type Kernels, plainKernels } from "../../reference/kernels/plain.ts";
import type { Reach } from "./reach.ts";

/** As assembly/activations.ts numbers them. */
const codes: Readonly<Record<ActivationName, number>> = {
  gelu: 0,
  silu: 1,
  quick_gelu: 2,
  relu: 3,
  relu2: 4,
  tanh: 5,
};

export function activationKernels({ wasm, mine, at }: Reach): Pick<Kernels, "activation" | "activationBackward"> {
  return {
    activation: (fn, gated, x, y, rowScale) => {
      if (!mine(x, y, rowScale)) return plainKernels.activation(fn, gated, x, y, rowScale);
      assert(x.cols === (gated ? 2 : 1) * y.cols, `activation of ${x.cols} columns yields ${y.cols}`);
      wasm.activation(
        ...[codes[fn], at(x), x.stride, gated ? at(x, y.cols) : 0, at(y), y.stride],
        ...[rowScale === undefined ? 0 : at(rowScale), rowScale?.stride ?? 0, y.rows, y.cols],
      );
    },

    activationBackward: (fn, gated, x, dy, dx, rows) => {
      if (!mine(x, dy, dx, rows?.scale, rows?.dscale))
        return plainKernels.activationBackward(fn, gated, x, dy, dx, rows);
      const weights =
        rows === undefined ? [0, 0, 0, 0] : [at(rows.scale), rows.scale.stride, at(rows.dscale), rows.dscale.stride];
      wasm.activationBackward(
        ...[codes[fn], at(x), x.stride, gated ? at(x, dy.cols) : 0, at(dy), dy.stride],
        ...[at(dx), dx.stride, gated ? at(dx, dy.cols) : 0, ...weights, dy.rows, dy.cols],
      );
    },
  };
}
