// Linear-time sequence mixers, one step at a time: state S [P, N] per head (P = innerDim / heads, N = stateDim).
//
// mamba (arXiv 2405.21060, eq. 1-2): step = softplus(dt), a = exp(-exp(decay) step);  S = a S + step v B^T;  y = S C + skip v.
// gatedDelta (arXiv 2412.06464, eq. 10): a = exp(-exp(decay) softplus(decay input)), b = sigmoid(beta);
//   S = a S + b (v - a S B) B^T;  y = S C + skip v.
// x holds v, then B, then C per group; perHead holds dt, or beta and then the decay input. Rows are whole sequences, one after the other.

import { assert } from "@meshwright/core";
import { sigmoid } from "./elementwise.ts";
import { add, at, clear, type Mat, mat, set } from "./mat.ts";

export interface ScanShape {
  readonly variant: "mamba1" | "mamba2" | "gatedDelta";
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  /** Sequences that the rows hold. */
  readonly batch: number;
}

export interface ScanInputs {
  readonly x: Mat;
  readonly perHead: Mat;
  readonly decay: Mat;
  readonly skip: Mat;
}

/** First columns of a head's values, of its group's B and C in x; of its step (dt or decay input) in perHead. */
function columnsFor(shape: ScanShape, head: number): { value: number; write: number; read: number; step: number } {
  const { innerDim, stateDim, heads, groups } = shape;
  const write = innerDim + Math.floor((head * groups) / heads) * stateDim;
  return {
    value: (head * innerDim) / heads,
    write,
    read: write + groups * stateDim,
    step: shape.variant === "gatedDelta" ? heads + head : head,
  };
}

function softplus(x: number): number {
  return x > 30 ? x : Math.log1p(Math.exp(x));
}

/** States before each step of one head and sequence, states[t] = S_(t-1), and the outputs. */
function runHead(shape: ScanShape, inputs: ScanInputs, head: number, first: number, length: number) {
  const { x } = inputs;
  const width = shape.innerDim / shape.heads;
  const n = shape.stateDim;
  const columns = columnsFor(shape, head);
  const states: Mat[] = [mat(width, n)];
  for (let t = 0; t < length; t++) {
    const row = first + t;
    const before = states[t]!;
    const after = mat(width, n);
    const { keep, gain } = coefficients(shape, inputs, head, row);
    for (let p = 0; p < width; p++) {
      let inserted = at(x, row, columns.value + p);
      if (shape.variant === "gatedDelta") {
        for (let i = 0; i < n; i++) inserted -= keep * at(before, p, i) * at(x, row, columns.write + i);
      }
      for (let i = 0; i < n; i++)
        set(after, p, i, keep * at(before, p, i) + gain * inserted * at(x, row, columns.write + i));
    }
    states.push(after);
  }
  return { states, columns, width };
}

function coefficients(
  shape: ScanShape,
  inputs: ScanInputs,
  head: number,
  row: number,
): { keep: number; gain: number; step: number } {
  const step = softplus(at(inputs.perHead, row, columnsFor(shape, head).step));
  const keep = Math.exp(-step * Math.exp(at(inputs.decay, 0, head)));
  return { keep, step, gain: shape.variant === "gatedDelta" ? sigmoid(at(inputs.perHead, row, head)) : step };
}

export function scan(shape: ScanShape, inputs: ScanInputs, y: Mat): void {
  const { x, skip } = inputs;
  const length = x.rows / shape.batch;
  assert(Number.isInteger(length), `${shape.batch} sequences in ${x.rows} rows`);
  for (let head = 0; head < shape.heads; head++) {
    for (let sequence = 0; sequence < shape.batch; sequence++) {
      const first = sequence * length;
      const { states, columns, width } = runHead(shape, inputs, head, first, length);
      for (let t = 0; t < length; t++) {
        for (let p = 0; p < width; p++) {
          let sum = at(skip, 0, head) * at(x, first + t, columns.value + p);
          for (let i = 0; i < shape.stateDim; i++) sum += at(states[t + 1]!, p, i) * at(x, first + t, columns.read + i);
          set(y, first + t, (head * shape.innerDim) / shape.heads + p, sum);
        }
      }
    }
  }
}

export interface ScanGradients {
  readonly dx: Mat;
  readonly dperHead: Mat;
  readonly ddecay: Mat;
  readonly dskip: Mat;
}

/** Writes dx and dperHead; adds to ddecay and dskip. */
export function scanBackward(shape: ScanShape, inputs: ScanInputs, dy: Mat, gradients: ScanGradients): void {
  const { x, perHead, decay, skip } = inputs;
  const { dx, dperHead, ddecay, dskip } = gradients;
  const delta = shape.variant === "gatedDelta";
  const n = shape.stateDim;
  const length = x.rows / shape.batch;
  clear(dx);
  clear(dperHead);
  for (let head = 0; head < shape.heads; head++) {
    for (let sequence = 0; sequence < shape.batch; sequence++) {
      const first = sequence * length;
      const { states, columns, width } = runHead(shape, inputs, head, first, length);
      const out = (head * shape.innerDim) / shape.heads;
      const dstate = mat(width, n);
      for (let t = length - 1; t >= 0; t--) {
        const row = first + t;
        const { keep, gain, step } = coefficients(shape, inputs, head, row);
        const before = states[t]!;
        let dkeep = 0;
        let dgain = 0;
        for (let p = 0; p < width; p++) {
          const g = at(dy, row, out + p);
          const value = at(x, row, columns.value + p);
          let inserted = value;
          if (delta) for (let i = 0; i < n; i++) inserted -= keep * at(before, p, i) * at(x, row, columns.write + i);
          let dinserted = 0;
          for (let i = 0; i < n; i++) {
            add(dstate, p, i, g * at(x, row, columns.read + i));
            add(dx, row, columns.read + i, g * at(states[t + 1]!, p, i));
            const ds = at(dstate, p, i);
            dinserted += gain * ds * at(x, row, columns.write + i);
            dgain += ds * inserted * at(x, row, columns.write + i);
            add(dx, row, columns.write + i, gain * ds * inserted);
          }
          add(dx, row, columns.value + p, dinserted + at(skip, 0, head) * g);
          add(dskip, 0, head, g * value);
          for (let i = 0; i < n; i++) {
            if (delta) add(dx, row, columns.write + i, -dinserted * keep * at(before, p, i));
            const dkept = at(dstate, p, i) - (delta ? dinserted * at(x, row, columns.write + i) : 0);
            dkeep += dkept * at(before, p, i);
            set(dstate, p, i, keep * dkept);
          }
        }
        const rate = Math.exp(at(decay, 0, head));
        const dstep = -dkeep * keep * rate + (delta ? 0 : dgain);
        add(ddecay, 0, head, -dkeep * keep * step * rate);
        add(dperHead, row, columns.step, dstep * sigmoid(at(perHead, row, columns.step)));
        if (delta) add(dperHead, row, head, dgain * gain * (1 - gain));
      }
    }
  }
}
