// Linear-time sequence mixers, one step at a time: state S [P, N] per head (P = innerDim / heads, N = stateDim).
//
// mamba (arXiv 2405.21060, eq. 1-2): step = softplus(dt), a = exp(-step exp(decay));  S = a S + step x B^T;  y = S C + skip x.
// gatedDelta (arXiv 2412.06464, eq. 10): a = exp(-exp(decay) softplus(column + skip)), b = sigmoid(column);
//   S = a S + b (v - a S k) k^T;  y = S q.  Here `skip` is the bias of the decay, as the published layers have it.
// Heads share B, C (or q, k) in groups. Rows are whole sequences, one after the other.

import { assert } from "@meshwright/core";
import { sigmoid } from "./elementwise.ts";
import { add, at, type Mat, mat, set } from "./mat.ts";

export interface ScanShape {
  readonly variant: "mamba1" | "mamba2" | "gatedDelta";
  readonly innerDim: number;
  readonly stateDim: number;
  readonly heads: number;
  readonly groups: number;
  /** Sequences that the rows hold. */
  readonly batch: number;
}

interface Columns {
  readonly value: number;
  /** B or k: written into the state. C or q: reads it. */
  readonly write: number;
  readonly read: number;
  /** dt, or the decay's column. */
  readonly step: number;
  readonly beta: number;
}

function columnsOf(shape: ScanShape, head: number): Columns {
  const { innerDim, stateDim, heads, groups } = shape;
  const value = (head * innerDim) / heads;
  const group = Math.floor((head * groups) / heads) * stateDim;
  const groupDim = groups * stateDim;
  if (shape.variant === "gatedDelta") {
    const beta = 2 * groupDim + innerDim + head;
    return { read: group, write: groupDim + group, value: 2 * groupDim + value, beta, step: beta + heads };
  }
  return { value, write: innerDim + group, read: innerDim + groupDim + group, step: innerDim + 2 * groupDim + head, beta: -1 };
}

function softplus(x: number): number {
  return x > 30 ? x : Math.log1p(Math.exp(x));
}

/** States before each step of one head and sequence, states[t] = S_(t-1), and the outputs. */
function runHead(shape: ScanShape, x: Mat, decay: Mat, skip: Mat, head: number, first: number, length: number) {
  const width = shape.innerDim / shape.heads;
  const n = shape.stateDim;
  const columns = columnsOf(shape, head);
  const states: Mat[] = [mat(width, n)];
  for (let t = 0; t < length; t++) {
    const row = first + t;
    const before = states[t]!;
    const after = mat(width, n);
    const { keep, gain } = coefficients(shape, x, decay, skip, head, row);
    for (let p = 0; p < width; p++) {
      let inserted = at(x, row, columns.value + p);
      if (shape.variant === "gatedDelta") {
        for (let i = 0; i < n; i++) inserted -= keep * at(before, p, i) * at(x, row, columns.write + i);
      }
      for (let i = 0; i < n; i++) set(after, p, i, keep * at(before, p, i) + gain * inserted * at(x, row, columns.write + i));
    }
    states.push(after);
  }
  return { states, columns, width };
}

function coefficients(shape: ScanShape, x: Mat, decay: Mat, skip: Mat, head: number, row: number): { keep: number; gain: number; step: number } {
  const columns = columnsOf(shape, head);
  const delta = shape.variant === "gatedDelta";
  const step = softplus(at(x, row, columns.step) + (delta ? at(skip, 0, head) : 0));
  const keep = Math.exp(-step * Math.exp(at(decay, 0, head)));
  return { keep, step, gain: delta ? sigmoid(at(x, row, columns.beta)) : step };
}

export function scan(shape: ScanShape, x: Mat, decay: Mat, skip: Mat, y: Mat): void {
  const length = x.rows / shape.batch;
  assert(Number.isInteger(length), `${shape.batch} sequences in ${x.rows} rows`);
  for (let head = 0; head < shape.heads; head++) {
    for (let sequence = 0; sequence < shape.batch; sequence++) {
      const first = sequence * length;
      const { states, columns, width } = runHead(shape, x, decay, skip, head, first, length);
      for (let t = 0; t < length; t++) {
        for (let p = 0; p < width; p++) {
          let sum = shape.variant === "gatedDelta" ? 0 : at(skip, 0, head) * at(x, first + t, columns.value + p);
          for (let i = 0; i < shape.stateDim; i++) sum += at(states[t + 1]!, p, i) * at(x, first + t, columns.read + i);
          set(y, first + t, (head * shape.innerDim) / shape.heads + p, sum);
        }
      }
    }
  }
}

/** Writes dx; adds to ddecay and dskip. */
export function scanBackward(
  shape: ScanShape,
  args: {
    readonly x: Mat;
    readonly decay: Mat;
    readonly skip: Mat;
    readonly dy: Mat;
    readonly dx: Mat;
    readonly ddecay: Mat;
    readonly dskip: Mat;
  },
): void {
  const { x, decay, skip, dy, dx, ddecay, dskip } = args;
  const delta = shape.variant === "gatedDelta";
  const n = shape.stateDim;
  const length = x.rows / shape.batch;
  for (let i = 0; i < dx.rows; i++) for (let j = 0; j < dx.cols; j++) set(dx, i, j, 0);
  for (let head = 0; head < shape.heads; head++) {
    for (let sequence = 0; sequence < shape.batch; sequence++) {
      const first = sequence * length;
      const { states, columns, width } = runHead(shape, x, decay, skip, head, first, length);
      const out = (head * shape.innerDim) / shape.heads;
      const dstate = mat(width, n);
      for (let t = length - 1; t >= 0; t--) {
        const row = first + t;
        const { keep, gain, step } = coefficients(shape, x, decay, skip, head, row);
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
          add(dx, row, columns.value + p, dinserted + (delta ? 0 : at(skip, 0, head) * g));
          if (!delta) add(dskip, 0, head, g * value);
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
        const slope = sigmoid(at(x, row, columns.step) + (delta ? at(skip, 0, head) : 0));
        add(dx, row, columns.step, dstep * slope);
        if (delta) {
          add(dskip, 0, head, dstep * slope);
          add(dx, row, columns.beta, dgain * gain * (1 - gain));
        }
      }
    }
  }
}
