// Fills the holes of thinned collective curves by analogy.
//
// Plain log-log interpolation across a hole misses the kinks where a library switches its algorithm. Other curves (other
// rank count, dtype, operation, device) were measured at the hole; each tells by how much the truth differs from a straight
// line there. The correction is their weighted mean, weights falling with the difference in slope, curvature and level
// around the hole. At the ends, the same curves tell the slope. Accuracy is what scripts/evaluateNetwork.ts prints.

import type { RawCurve } from "./readTables.ts";

/** Scales (in log units) at which two curves stop being alike, and penalties for a different setting; chosen by cross-validation over the tables. */
const SCALE = {
  slope: 0.25,
  outerSlope: 0.085,
  level: 1.5,
  missing: 1.25,
  op: 1.1,
  backend: 1,
  ranks: 1.3,
  system: 1.45,
  dtype: 0.05,
  /** Weight of "no correction". */
  prior: 0.0005,
};

interface LogCurve {
  readonly curve: RawCurve;
  readonly logs: Map<number, number>;
}

export function logCurves(curves: readonly RawCurve[]): LogCurve[] {
  return curves.map((curve) => ({ curve, logs: new Map([...curve.points].map(([size, t]) => [size, Math.log(t)])) }));
}

/** The curve's missing sizes, predicted from the others. */
export function predictMissing(
  all: readonly LogCurve[],
  target: LogCurve,
  sizes: readonly number[],
): Map<number, number> {
  const known = [...target.logs].sort((a, b) => a[0] - b[0]);
  const result = new Map<number, number>();
  for (const size of sizes) {
    if (target.logs.has(size)) continue;
    const value = predictOne(all, target, known, size);
    if (value !== undefined) result.set(size, Math.exp(value));
  }
  return result;
}

function predictOne(
  all: readonly LogCurve[],
  target: LogCurve,
  known: readonly [number, number][],
  size: number,
): number | undefined {
  const above = known.findIndex(([s]) => s > size);
  const right = above === -1 ? undefined : known[above];
  const left = above === -1 ? known.at(-1) : known[above - 1];
  const outerLeft = above === -1 ? known.at(-2) : known[above - 2];
  const outerRight = above === -1 ? undefined : known[above + 1];
  let sum = 0;
  let weights = SCALE.prior;
  if (left !== undefined && right !== undefined) {
    const share = Math.log(size / left[0]) / Math.log(right[0] / left[0]);
    const straight = (a: number, b: number): number => a * (1 - share) + b * share;
    for (const other of all) {
      const a = other.logs.get(left[0]);
      const b = other.logs.get(right[0]);
      const here = other.logs.get(size);
      if (other === target || a === undefined || b === undefined || here === undefined) continue;
      let distance =
        ((b - a - (right[1] - left[1])) / SCALE.slope) ** 2 +
        ((a - left[1]) / SCALE.level) ** 2 +
        settingDistance(other, target);
      distance += slopeDistance(other, outerLeft, left);
      distance += slopeDistance(other, right, outerRight);
      const weight = Math.exp(-distance);
      sum += weight * (here - straight(a, b));
      weights += weight;
    }
    return straight(left[1], right[1]) + sum / weights;
  }
  const end = left ?? right;
  const next = left === undefined ? outerRight : outerLeft;
  if (end === undefined) return undefined;
  for (const other of all) {
    const at = other.logs.get(end[0]);
    const here = other.logs.get(size);
    if (other === target || at === undefined || here === undefined) continue;
    const distance =
      ((at - end[1]) / SCALE.level) ** 2 +
      settingDistance(other, target) +
      slopeDistance(other, left === undefined ? end : next, left === undefined ? next : end);
    const weight = Math.exp(-distance);
    sum += weight * (here - at);
    weights += weight;
  }
  // Nothing alike: constant below the first point; above the last one the bare curve extrapolates better.
  if (weights < 2 * SCALE.prior) return left === undefined ? end[1] : undefined;
  return end[1] + sum / (weights - SCALE.prior);
}

function slopeDistance(
  other: LogCurve,
  from: readonly [number, number] | undefined,
  to: readonly [number, number] | undefined,
): number {
  if (from === undefined || to === undefined) return 0;
  const a = other.logs.get(from[0]);
  const b = other.logs.get(to[0]);
  return a === undefined || b === undefined ? SCALE.missing : ((b - a - (to[1] - from[1])) / SCALE.outerSlope) ** 2;
}

/** key = [op, backend, gpus, nodes, dtype]. */
function settingDistance(a: LogCurve, b: LogCurve): number {
  const [opA, backendA, ranksA, , dtypeA] = a.curve.key;
  const [opB, backendB, ranksB, , dtypeB] = b.curve.key;
  return (
    (opA === opB ? 0 : SCALE.op) +
    (backendA === backendB ? 0 : SCALE.backend) +
    (ranksA === ranksB ? 0 : SCALE.ranks) +
    (a.curve.system === b.curve.system ? 0 : SCALE.system) +
    (dtypeA === dtypeB ? 0 : SCALE.dtype)
  );
}
