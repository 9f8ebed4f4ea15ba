// Round marks for an axis.

export interface Ticks {
  /** Ends of the axis, round too. */
  readonly from: number;
  readonly to: number;
  readonly ticks: readonly number[];
}

/** About so many marks at 1, 2 or 5 times a power of ten; the ends hold the whole extent. */
export function niceTicks({ from, to }: { readonly from: number; readonly to: number }, count: number): Ticks {
  const span = to > from ? to - from : Math.abs(to) > 0 ? Math.abs(to) * 0.1 : 1;
  const rough = span / Math.max(1, count);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5, 10].find((each) => each * power >= rough) ?? 10);
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { from: first * step, to: last * step, ticks };
}
