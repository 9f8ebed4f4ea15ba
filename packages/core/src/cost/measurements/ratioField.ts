// What measurements say about a price: the ratio of measured to modelled, smooth over the logarithms of the dimensions.
//
// The model keeps the shape of the physics (tiles, waves, latency, bandwidth); the field of ratios corrects it. At a measured point the answer is the measurement.
// Between points the logarithm of the ratio is the mean of the nearest ones, with weights that fall with the fourth power of distance; far from all of them the ratio
// tends to the median, since what is wrong everywhere (a clock, a driver) holds there too.

export interface Ratio {
  /** Measured over modelled. */
  readonly factor: number;
  /** One relative standard deviation of a price after the correction. */
  readonly relStd: number;
}

/** Points that enter an answer. */
const NEAREST = 6;
/** Distance, in natural logarithms over all dimensions together, at which the local ratio and the median count equally: a factor of 16. */
const REACH = Math.log(16);
/** No correction is trusted further than repeated measurements agree. */
const LEAST_STD = 0.02;
/** Points whose leave-one-out errors are taken, evenly spread: the spread of a field needs no more. */
const MOST_LEFT_OUT = 200;

export class RatioField {
  private readonly dims: number;
  private readonly at: Float64Array;
  private readonly logRatio: Float64Array;
  private readonly median: number;
  private readonly std: number;

  /** @param points coordinates (natural logarithms, all of one length) and measured over modelled; at least one. */
  constructor(points: readonly { readonly at: readonly number[]; readonly ratio: number }[]) {
    this.dims = points[0]!.at.length;
    this.at = Float64Array.from(points.flatMap(({ at }) => at));
    this.logRatio = Float64Array.from(points, ({ ratio }) => Math.log(ratio));
    this.median = medianOf(this.logRatio);
    this.std = this.leaveOneOut();
  }

  ratioAt(at: readonly number[]): Ratio {
    const { local, distance } = this.localAt(at, -1);
    const trust = 1 / (1 + (distance / REACH) ** 2);
    const logRatio = trust * local + (1 - trust) * this.median;
    // Away from the points the spread of the field itself is what is not known.
    const relStd = distance === 0 ? LEAST_STD : Math.max(LEAST_STD, this.std * (1 + distance / REACH));
    return { factor: Math.exp(logRatio), relStd };
  }

  /** Weighted mean of the nearest points, and how far the nearest is. */
  private localAt(at: readonly number[], without: number): { readonly local: number; readonly distance: number } {
    const nearest: { d2: number; logRatio: number }[] = [];
    for (let i = 0; i < this.logRatio.length; i++) {
      if (i === without) continue;
      let d2 = 0;
      for (let k = 0; k < this.dims; k++) d2 += (this.at[i * this.dims + k]! - at[k]!) ** 2;
      if (nearest.length === NEAREST && d2 >= nearest[NEAREST - 1]!.d2) continue;
      let place = nearest.length;
      while (place > 0 && nearest[place - 1]!.d2 > d2) place--;
      nearest.splice(place, 0, { d2, logRatio: this.logRatio[i]! });
      if (nearest.length > NEAREST) nearest.pop();
    }
    if (nearest.length === 0) return { local: this.median, distance: Number.POSITIVE_INFINITY };
    const same = nearest.filter(({ d2 }) => d2 < 1e-12);
    if (same.length > 0)
      return { local: same.reduce((sum, { logRatio }) => sum + logRatio, 0) / same.length, distance: 0 };
    let sum = 0;
    let weights = 0;
    for (const { d2, logRatio } of nearest) {
      const weight = 1 / d2 ** 2;
      sum += weight * logRatio;
      weights += weight;
    }
    return { local: sum / weights, distance: Math.sqrt(nearest[0]!.d2) };
  }

  private leaveOneOut(): number {
    const n = this.logRatio.length;
    if (n < 3) return 0.2;
    const stride = Math.ceil(n / MOST_LEFT_OUT);
    let sum = 0;
    let count = 0;
    for (let i = 0; i < n; i += stride) {
      const at = Array.from(this.at.subarray(i * this.dims, (i + 1) * this.dims));
      sum += (this.localAt(at, i).local - this.logRatio[i]!) ** 2;
      count++;
    }
    return Math.sqrt(sum / count);
  }
}

function medianOf(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
