// A measured curve: latency against size, log-log interpolated between points.
//
// Below the first point the latency is constant (start-up dominates). Above the last one a curve with a known start-up share
// grows in proportion without it; another goes on with the marginal rate of its last step, bounded by proportional growth, so
// that a kink in the last step is not carried on.

export interface Curve {
  /** Ascending. Bytes for collectives, tokens for expert exchange. */
  readonly sizes: readonly number[];
  /** Microseconds, as measured. */
  readonly micros: readonly number[];
}

/**
 * Microseconds at `size`.
 *
 * @param floorShare part of the first point's latency that is taken as constant start-up and left out of the logarithm, 0..1: a sum of
 *   start-up and traffic is convex in log-log space, and plain interpolation across wide gaps would run above it.
 */
export function curveMicros(curve: Curve, size: number, floorShare = 0): number {
  const { sizes, micros } = curve;
  const last = sizes.length - 1;
  const first = sizes[0]!;
  if (size <= first || last === 0) return size <= first ? micros[0]! : (micros[0]! * size) / first;
  if (size >= sizes[last]!) {
    const top = micros[last]!;
    if (floorShare > 0) {
      const floor = floorShare * Math.min(micros[0]!, top);
      return floor + ((top - floor) * size) / sizes[last]!;
    }
    const marginal = (top - micros[last - 1]!) / (sizes[last]! - sizes[last - 1]!);
    const average = top / sizes[last]!;
    return top + (size - sizes[last]!) * Math.min(Math.max(marginal, 0.8 * average), average);
  }
  const at = upperIndex(sizes, size);
  const floor = floorShare * Math.min(micros[0]!, micros[at - 1]!, micros[at]!);
  return floor + logInterpolate(sizes[at - 1]!, micros[at - 1]! - floor, sizes[at]!, micros[at]! - floor, size);
}

/** y at x on the straight line through two points in log-log space. */
export function logInterpolate(x0: number, y0: number, x1: number, y1: number, x: number): number {
  const share = Math.log(x / x0) / Math.log(x1 / x0);
  return y0 * (y1 / y0) ** share;
}

/** First index whose size is at least `size`; the caller has checked the range. */
function upperIndex(sizes: readonly number[], size: number): number {
  let low = 1;
  let high = sizes.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sizes[middle]! < size) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether the curve has a point within a factor `factor` of `size` on both sides: interpolation rather than extrapolation. */
export function covers(curve: Curve, size: number): boolean {
  return size >= curve.sizes[0]! && size <= curve.sizes.at(-1)!;
}
