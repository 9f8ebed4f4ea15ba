// A small reverse-mode autodiff on f64 matrices: each operation records how to send its output's gradient back. It shares nothing with
// the reference kernels, so that agreement of the two proves both.

import { assert } from "@meshwright/core";

export interface Var {
  readonly rows: number;
  readonly cols: number;
  readonly value: Float64Array;
  readonly grad: Float64Array;
}

export class Tape {
  private readonly steps: (() => void)[] = [];

  leaf(rows: number, cols: number, fill: (index: number) => number): Var {
    const value = Float64Array.from({ length: rows * cols }, (_, i) => fill(i));
    return { rows, cols, value, grad: new Float64Array(rows * cols) };
  }

  /** Runs everything backwards from a scalar. */
  backward(loss: Var): void {
    assert(loss.rows === 1 && loss.cols === 1, "gradients start at a scalar");
    loss.grad[0] = 1;
    for (let i = this.steps.length - 1; i >= 0; i--) this.steps[i]!();
  }

  private make(
    rows: number,
    cols: number,
    value: (i: number, j: number) => number,
    back: (i: number, j: number, g: number) => void,
  ): Var {
    const out = this.leaf(rows, cols, (index) => value(Math.floor(index / cols), index % cols));
    this.steps.push(() => {
      for (let i = 0; i < rows; i++) {
        for (let j = 0; j < cols; j++) {
          const g = out.grad[i * cols + j]!;
          if (g !== 0) back(i, j, g);
        }
      }
    });
    return out;
  }

  /** a b^T. */
  matmulT(a: Var, b: Var): Var {
    assert(a.cols === b.cols, `product of ${a.rows} x ${a.cols} and the transpose of ${b.rows} x ${b.cols}`);
    const k = a.cols;
    return this.make(
      a.rows,
      b.rows,
      (i, j) => {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a.value[i * k + l]! * b.value[j * k + l]!;
        return sum;
      },
      (i, j, g) => {
        for (let l = 0; l < k; l++) {
          a.grad[i * k + l]! += g * b.value[j * k + l]!;
          b.grad[j * k + l]! += g * a.value[i * k + l]!;
        }
      },
    );
  }

  /** a b. */
  matmul(a: Var, b: Var): Var {
    assert(a.cols === b.rows, `product of ${a.rows} x ${a.cols} and ${b.rows} x ${b.cols}`);
    const [k, n] = [a.cols, b.cols];
    return this.make(
      a.rows,
      n,
      (i, j) => {
        let sum = 0;
        for (let l = 0; l < k; l++) sum += a.value[i * k + l]! * b.value[l * n + j]!;
        return sum;
      },
      (i, j, g) => {
        for (let l = 0; l < k; l++) {
          a.grad[i * k + l]! += g * b.value[l * n + j]!;
          b.grad[l * n + j]! += g * a.value[i * k + l]!;
        }
      },
    );
  }

  /** f(a) elementwise; `slope` gets the input and the output. */
  map(a: Var, f: (x: number) => number, slope: (x: number, y: number) => number): Var {
    return this.make(
      a.rows,
      a.cols,
      (i, j) => f(a.value[i * a.cols + j]!),
      (i, j, g) => {
        const x = a.value[i * a.cols + j]!;
        a.grad[i * a.cols + j]! += g * slope(x, f(x));
      },
    );
  }

  /** Elementwise with broadcasting of b: same shape, one row, or one column. */
  private broadcast(a: Var, b: Var): (i: number, j: number) => number {
    assert(
      (b.rows === a.rows || b.rows === 1) && (b.cols === a.cols || b.cols === 1),
      `${b.rows} x ${b.cols} spreads over ${a.rows} x ${a.cols}`,
    );
    return (i, j) => (b.rows === 1 ? 0 : i) * b.cols + (b.cols === 1 ? 0 : j);
  }

  add(a: Var, b: Var): Var {
    const at = this.broadcast(a, b);
    return this.make(
      a.rows,
      a.cols,
      (i, j) => a.value[i * a.cols + j]! + b.value[at(i, j)]!,
      (i, j, g) => {
        a.grad[i * a.cols + j]! += g;
        b.grad[at(i, j)]! += g;
      },
    );
  }

  mul(a: Var, b: Var): Var {
    const at = this.broadcast(a, b);
    return this.make(
      a.rows,
      a.cols,
      (i, j) => a.value[i * a.cols + j]! * b.value[at(i, j)]!,
      (i, j, g) => {
        a.grad[i * a.cols + j]! += g * b.value[at(i, j)]!;
        b.grad[at(i, j)]! += g * a.value[i * a.cols + j]!;
      },
    );
  }

  scale(a: Var, factor: number): Var {
    return this.map(
      a,
      (x) => x * factor,
      () => factor,
    );
  }

  /** Elementwise times constants. */
  weigh(a: Var, factor: (i: number, j: number) => number): Var {
    return this.make(
      a.rows,
      a.cols,
      (i, j) => a.value[i * a.cols + j]! * factor(i, j),
      (i, j, g) => {
        a.grad[i * a.cols + j]! += g * factor(i, j);
      },
    );
  }

  sigmoid(a: Var): Var {
    return this.map(
      a,
      (x) => 1 / (1 + Math.exp(-x)),
      (_, y) => y * (1 - y),
    );
  }

  rowMean(a: Var): Var {
    return this.make(
      a.rows,
      1,
      (i) => a.value.subarray(i * a.cols, (i + 1) * a.cols).reduce((sum, x) => sum + x, 0) / a.cols,
      (i, _, g) => {
        for (let j = 0; j < a.cols; j++) a.grad[i * a.cols + j]! += g / a.cols;
      },
    );
  }

  /** Element (i, j) of the result is element (row(i), col(j)) of a. */
  private pick(a: Var, rows: readonly number[], cols: readonly number[]): Var {
    const at = (i: number, j: number) => rows[i]! * a.cols + cols[j]!;
    return this.make(
      rows.length,
      cols.length,
      (i, j) => a.value[at(i, j)]!,
      (i, j, g) => {
        a.grad[at(i, j)]! += g;
      },
    );
  }

  rows(a: Var, rows: readonly number[]): Var {
    return this.pick(a, rows, range(a.cols));
  }

  columns(a: Var, from: number, count: number): Var {
    return this.pick(
      a,
      range(a.rows),
      range(count).map((j) => from + j),
    );
  }

  /** Side by side. */
  concat(parts: readonly Var[]): Var {
    const cols = parts.flatMap((part) => range(part.cols).map((j) => ({ part, j })));
    return this.make(
      parts[0]!.rows,
      cols.length,
      (i, j) => cols[j]!.part.value[i * cols[j]!.part.cols + cols[j]!.j]!,
      (i, j, g) => {
        cols[j]!.part.grad[i * cols[j]!.part.cols + cols[j]!.j]! += g;
      },
    );
  }

  /** One below the other. */
  stack(parts: readonly Var[]): Var {
    const rows = parts.flatMap((part) => range(part.rows).map((i) => ({ part, i })));
    const cols = parts[0]!.cols;
    return this.make(
      rows.length,
      cols,
      (i, j) => rows[i]!.part.value[rows[i]!.i * cols + j]!,
      (i, j, g) => {
        rows[i]!.part.grad[rows[i]!.i * cols + j]! += g;
      },
    );
  }

  /** Softmax of each row over the entries `allowed` lets through; the others are 0. */
  softmax(a: Var, allowed: (i: number, j: number) => boolean = () => true): Var {
    const n = a.cols;
    const probabilities = new Float64Array(a.rows * n);
    for (let i = 0; i < a.rows; i++) {
      let most = Number.NEGATIVE_INFINITY;
      let sum = 0;
      for (let j = 0; j < n; j++) if (allowed(i, j)) most = Math.max(most, a.value[i * n + j]!);
      for (let j = 0; j < n; j++) if (allowed(i, j)) sum += Math.exp(a.value[i * n + j]! - most);
      for (let j = 0; j < n; j++)
        if (allowed(i, j)) probabilities[i * n + j] = Math.exp(a.value[i * n + j]! - most) / sum;
    }
    return this.make(
      a.rows,
      n,
      (i, j) => probabilities[i * n + j]!,
      (i, j, g) => {
        const p = probabilities[i * n + j]!;
        for (let l = 0; l < n; l++) a.grad[i * n + l]! += g * p * ((l === j ? 1 : 0) - probabilities[i * n + l]!);
      },
    );
  }

  /** Turns column pairs (from + i, from + i + dim / 2) of every row by its angle for i. */
  rotate(a: Var, from: number, dim: number, angle: (row: number, i: number) => number): Var {
    const half = dim / 2;
    const parts = (i: number, j: number) => {
      const within = j - from;
      if (within < 0 || within >= dim) return [[j, 1]] as const;
      const pair = within % half;
      const [c, s] = [Math.cos(angle(i, pair)), Math.sin(angle(i, pair))];
      return within < half
        ? ([
            [j, c],
            [j + half, -s],
          ] as const)
        : ([
            [j, c],
            [j - half, s],
          ] as const);
    };
    return this.make(
      a.rows,
      a.cols,
      (i, j) => parts(i, j).reduce((sum, [col, w]) => sum + w * a.value[i * a.cols + col]!, 0),
      (i, j, g) => {
        for (const [col, w] of parts(i, j)) a.grad[i * a.cols + col]! += g * w;
      },
    );
  }

  /** Sum over rows of -log softmax(row)[target], times factor. */
  crossEntropy(logits: Var, targets: readonly number[], factor: number): Var {
    const p = this.softmax(logits);
    const picked = this.make(
      logits.rows,
      1,
      (i) => -Math.log(p.value[i * p.cols + targets[i]!]!),
      (i, _, g) => {
        p.grad[i * p.cols + targets[i]!]! -= g / p.value[i * p.cols + targets[i]!]!;
      },
    );
    return this.scale(this.rowMean(this.transpose(picked)), factor * logits.rows);
  }

  transpose(a: Var): Var {
    return this.make(
      a.cols,
      a.rows,
      (i, j) => a.value[j * a.cols + i]!,
      (i, j, g) => {
        a.grad[j * a.cols + i]! += g;
      },
    );
  }
}

export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
