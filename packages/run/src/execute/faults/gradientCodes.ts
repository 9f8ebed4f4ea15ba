// Gradient codes: which parts of a batch each data-parallel worker computes, what weighted sum of their gradients it hands in, and how the whole gradient is
// had from the workers that have handed in. With s stragglers tolerated every part lies on s + 1 workers.
//
//   fractional  workers in groups of s + 1; a group's workers all compute the same s + 1 parts. One worker of each group is enough.
//   cyclic      worker i computes parts i .. i + s, around the end; any n - s workers are enough. The weights are those of a random matrix whose
//               null space holds the all-ones vector (Tandon, Lei, Dimakis, Karampatziakis, Gradient Coding, ICML 2017, algorithms 1 and 2).
//   backup      every worker computes a part of its own, and the step takes the mean of the parts handed in once n - s workers have (Chen, Monga, Bengio,
//               Jozefowicz, arXiv 1604.00981): not the gradient of the whole batch, but of as many sequences as asked for.

import { assert } from "@meshwright/core";
import { type Finding, InputError } from "@meshwright/core/units";
import { hashUnit } from "../../reference/hash.ts";

export interface CodeSpec {
  readonly kind: "fractional" | "cyclic" | "backup";
  /** Workers that may be missing. */
  readonly stragglers: number;
}

export interface GradientCode extends CodeSpec {
  readonly numWorkers: number;
  /** Parts of the data of a step. */
  readonly numParts: number;
  /** Of these the gradient is made: n, or for backup workers n - s. */
  readonly partsPerBatch: number;
  /** Parts that each worker computes, in order. */
  readonly partsOf: readonly (readonly number[])[];
  /** What each of them counts in what the worker hands in. */
  readonly weightsOf: readonly (readonly number[])[];
}

/** `fractional:1`, `cyclic:2`. */
export function parseCode(text: string): CodeSpec {
  const [, kind, stragglers] = /^(fractional|cyclic):([1-9]\d{0,2})$/.exec(text) ?? [];
  if (kind === "fractional" || kind === "cyclic") return { kind, stragglers: Number(stragglers) };
  throw new InputError({
    path: "--gradient-code",
    message: `Cannot read "${text}"`,
    hint: "write fractional:S or cyclic:S, where S workers may be missing",
  });
}

/** Most sets of missing workers that a code is checked for when it is made. */
const maxCheckedSets = 3000;

export function gradientCode(spec: CodeSpec, numWorkers: number): GradientCode {
  const { kind, stragglers } = spec;
  const findings: Finding[] = [];
  const path = kind === "backup" ? "--backup-workers" : "--gradient-code";
  if (stragglers >= numWorkers)
    findings.push({ path, message: `${stragglers} of ${numWorkers} workers cannot be missing`, hint: "raise dp" });
  else if (kind === "fractional" && numWorkers % (stragglers + 1) !== 0)
    findings.push({
      path,
      message: `Groups of ${stragglers + 1} do not divide dp=${numWorkers}`,
      hint: `use cyclic:${stragglers}, or a dp that is a multiple of ${stragglers + 1}`,
    });
  if (findings.length > 0) throw new InputError(findings);
  const workers = Array.from({ length: numWorkers }, (_, worker) => worker);
  const base = { ...spec, numWorkers, numParts: numWorkers, partsPerBatch: numWorkers };
  switch (kind) {
    case "fractional": {
      const size = stragglers + 1;
      const first = (worker: number) => worker - (worker % size);
      const partsOf = workers.map((worker) => Array.from({ length: size }, (_, k) => first(worker) + k));
      return { ...base, partsOf, weightsOf: partsOf.map((parts) => parts.map(() => 1)) };
    }
    case "cyclic": {
      const partsOf = workers.map((worker) =>
        Array.from({ length: stragglers + 1 }, (_, k) => (worker + k) % numWorkers),
      );
      return { ...base, partsOf, weightsOf: cyclicWeights(partsOf, numWorkers, stragglers) };
    }
    case "backup":
      return {
        ...base,
        partsPerBatch: numWorkers - stragglers,
        partsOf: workers.map((worker) => [worker]),
        weightsOf: workers.map(() => [1]),
      };
  }
}

/**
 * Factors of what the workers handed in that make the batch's gradient as a sum over its parts (for backup workers: as many parts as the batch has);
 * null when too few have. Missing workers have the factor 0.
 */
export function decodeFactors(code: GradientCode, arrived: readonly boolean[]): number[] | null {
  const { kind, numWorkers, stragglers, partsPerBatch } = code;
  const present = arrived.flatMap((is, worker) => (is ? [worker] : []));
  const factors = new Array<number>(numWorkers).fill(0);
  switch (kind) {
    case "fractional": {
      for (let first = 0; first < numWorkers; first += stragglers + 1) {
        const one = present.find((worker) => worker >= first && worker <= first + stragglers);
        if (one === undefined) return null;
        factors[one] = 1;
      }
      return factors;
    }
    case "backup":
      if (present.length < numWorkers - stragglers) return null;
      for (const worker of present) factors[worker] = partsPerBatch / present.length;
      return factors;
    case "cyclic": {
      if (present.length < numWorkers - stragglers) return null;
      // More than n - s rows are dependent: the first n - s are enough.
      const used = present.slice(0, numWorkers - stragglers);
      const solution = solveLeastSquares(
        used.map((worker) => rowOf(code, worker)),
        new Array<number>(code.numParts).fill(1),
      );
      if (solution === null) return null;
      for (const [i, worker] of used.entries()) factors[worker] = solution[i]!;
      return factors;
    }
  }
}

/** A worker's weights by part. */
function rowOf(code: Pick<GradientCode, "partsOf" | "weightsOf" | "numParts">, worker: number): number[] {
  const row = new Array<number>(code.numParts).fill(0);
  for (const [k, part] of code.partsOf[worker]!.entries()) row[part] = code.weightsOf[worker]![k]!;
  return row;
}

/** Of a few random matrices the one whose decoding factors stay smallest: f32 gradients lose as many digits as the factors have. */
function cyclicWeights(partsOf: readonly (readonly number[])[], n: number, s: number): number[][] {
  let best: { readonly weights: number[][]; readonly worst: number } | null = null;
  for (let draw = 0; draw < 20; draw++) {
    const weights = drawnWeights(partsOf, n, s, draw);
    if (weights === null) continue;
    const worst = worstFactor(partsOf, weights, n, s);
    if (best === null || worst < best.worst) best = { weights, worst };
  }
  assert(best !== null && Number.isFinite(best.worst), `a cyclic code of ${n} workers and ${s} stragglers exists`);
  return best.weights;
}

function drawnWeights(partsOf: readonly (readonly number[])[], n: number, s: number, draw: number): number[][] | null {
  // H: s rows that each sum to zero, so that ones lie in its null space.
  const h = Array.from({ length: s }, (_, row) => {
    const values = Array.from({ length: n - 1 }, (_, col) => 2 * hashUnit("gradient code", n, s, draw, row, col) - 1);
    return [...values, -values.reduce((sum, value) => sum + value, 0)];
  });
  const rows: number[][] = [];
  for (const [first, ...others] of partsOf) {
    // The first part counts 1; the others make the row a member of the null space.
    const solution = solveSquare(
      h.map((row) => others.map((part) => row[part]!)),
      h.map((row) => -row[first!]!),
    );
    if (solution === null) return null;
    rows.push([1, ...solution]);
  }
  return rows;
}

function worstFactor(
  partsOf: readonly (readonly number[])[],
  weightsOf: readonly number[][],
  n: number,
  s: number,
): number {
  const code: GradientCode = {
    kind: "cyclic",
    stragglers: s,
    numWorkers: n,
    numParts: n,
    partsPerBatch: n,
    partsOf,
    weightsOf,
  };
  let worst = 0;
  let checked = 0;
  for (const missing of subsets(n, s)) {
    if (checked++ > maxCheckedSets) break;
    const factors = decodeFactors(
      code,
      Array.from({ length: n }, (_, worker) => !missing.includes(worker)),
    );
    if (factors === null) return Number.POSITIVE_INFINITY;
    for (const factor of factors) worst = Math.max(worst, Math.abs(factor));
  }
  return worst;
}

/** Subsets of size s of 0 .. n - 1, in lexical order. */
function* subsets(n: number, s: number, from = 0): Generator<number[]> {
  if (s === 0) {
    yield [];
    return;
  }
  for (let first = from; first <= n - s; first++)
    for (const rest of subsets(n, s - 1, first + 1)) yield [first, ...rest];
}

/** x with sum_i x_i rows_i = target, where the rows are independent and target is one of their sums; null where it is not. */
function solveLeastSquares(rows: readonly (readonly number[])[], target: readonly number[]): number[] | null {
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  const x = solveSquare(
    rows.map((a) => rows.map((b) => dot(a, b))),
    rows.map((row) => dot(row, target)),
  );
  if (x === null) return null;
  const off = target.map((wanted, part) => wanted - rows.reduce((sum, row, i) => sum + x[i]! * row[part]!, 0));
  return off.every((value) => Math.abs(value) < 1e-6) ? x : null;
}

/** Gaussian elimination with row exchange; null for a singular matrix. */
function solveSquare(matrix: readonly (readonly number[])[], right: readonly number[]): number[] | null {
  const n = right.length;
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  for (let col = 0; col < n; col++) {
    let pivot = col;
    for (let row = col + 1; row < n; row++) if (Math.abs(rows[row]![col]!) > Math.abs(rows[pivot]![col]!)) pivot = row;
    if (Math.abs(rows[pivot]![col]!) < 1e-12) return null;
    [rows[col], rows[pivot]] = [rows[pivot]!, rows[col]!];
    for (let row = 0; row < n; row++) {
      if (row === col) continue;
      const factor = rows[row]![col]! / rows[col]![col]!;
      for (let k = col; k <= n; k++) rows[row]![k]! -= factor * rows[col]![k]!;
    }
  }
  return rows.map((row, i) => row[n]! / row[i]!);
}
