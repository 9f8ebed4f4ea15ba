// The linear-time mixers of the unsplit model, written as recurrences on the tape.

import type { SsmSpec } from "@meshwright/core";
import { range, type Tape, type Var } from "./tape.ts";

/** Depthwise causal convolution and silu; kernel [channels, K], its last tap on the present token. */
export function convTruth(tape: Tape, x: Var, kernel: Var): Var {
  const taps = tape.transpose(kernel);
  let sum: Var | null = null;
  const zero = tape.leaf(1, x.cols, () => 0);
  for (let j = 0; j < kernel.cols; j++) {
    const back = kernel.cols - 1 - j;
    const shifted = tape.rows(
      tape.stack([zero, x]),
      range(x.rows).map((t) => (t < back ? 0 : t - back + 1)),
    );
    const term = tape.mul(shifted, tape.rows(taps, [j]));
    sum = sum === null ? term : tape.add(sum, term);
  }
  return tape.mul(sum!, tape.sigmoid(sum!)); // kernels have a tap
}

export function scanTruth(tape: Tape, spec: SsmSpec, x: Var, perHead: Var, decay: Var, skip: Var): Var {
  const { innerDim, stateDim, heads, groups } = spec;
  const width = innerDim / heads;
  const delta = spec.variant === "gatedDelta";
  const softplus = (v: Var) =>
    tape.map(
      v,
      (a) => Math.log1p(Math.exp(a)),
      (a) => 1 / (1 + Math.exp(-a)),
    );
  const exp = (v: Var) => tape.map(v, Math.exp, (_, y) => y);
  const outs = range(heads).map((head) => {
    const group = innerDim + Math.floor((head * groups) / heads) * stateDim;
    const rate = exp(tape.columns(decay, head, 1));
    let state = tape.leaf(width, stateDim, () => 0);
    const rows = range(x.rows).map((t) => {
      const row = tape.rows(x, [t]);
      const own = tape.rows(perHead, [t]);
      const v = tape.transpose(tape.columns(row, head * width, width));
      const key = tape.columns(row, group, stateDim);
      const query = tape.columns(row, group + groups * stateDim, stateDim);
      const step = softplus(tape.columns(own, delta ? heads + head : head, 1));
      const kept = tape.mul(state, exp(tape.scale(tape.mul(step, rate), -1)));
      const inserted = delta ? tape.add(v, tape.scale(tape.matmulT(kept, key), -1)) : v;
      const gain = delta ? tape.sigmoid(tape.columns(own, head, 1)) : step;
      state = tape.add(kept, tape.matmul(tape.mul(inserted, gain), key));
      const skipped = tape.mul(v, tape.columns(skip, head, 1));
      return tape.transpose(tape.add(tape.matmulT(state, query), skipped));
    });
    return tape.stack(rows);
  });
  return tape.concat(outs);
}
