// Scales of plots: values to points, and round ticks. Linear or logarithmic; a logarithmic scale takes positive values alone.

export interface Scale {
  readonly at: (value: number) => number;
  /** Round values inside the domain, ascending. */
  readonly ticks: readonly number[];
  /** Of the points: first and last. */
  readonly range: readonly [number, number];
}

export interface ScaleInput {
  readonly domain: readonly [number, number];
  readonly range: readonly [number, number];
  /** About so many ticks. */
  readonly numTicks?: number;
}

export function linearScale({ domain, range, numTicks = 5 }: ScaleInput): Scale {
  const [low, high] = domain;
  const width = high - low || 1;
  const at = (value: number) => range[0] + ((value - low) / width) * (range[1] - range[0]);
  const step = roundStep(width / numTicks);
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * width; i++) ticks.push(i * step + 0);
  return { at, ticks, range };
}

export function logScale({ domain, range, numTicks = 5 }: ScaleInput): Scale {
  const [low, high] = [Math.log10(domain[0]), Math.log10(domain[1])];
  const width = high - low || 1;
  const at = (value: number) => range[0] + ((Math.log10(value) - low) / width) * (range[1] - range[0]);
  const within = (value: number) => value >= domain[0] * (1 - 1e-9) && value <= domain[1] * (1 + 1e-9);
  const series = (steps: readonly number[]) => {
    const found: number[] = [];
    for (let power = Math.floor(low); power <= Math.ceil(high); power++)
      for (const step of steps) if (within(step * 10 ** power)) found.push(Number((step * 10 ** power).toPrecision(3)));
    return found;
  };
  const fine = [[1, 2, 5], [1, 3], [1]].map(series);
  const ticks = fine.find((each) => each.length <= numTicks * 1.6) ?? fine.at(-1)!; // the list is not empty
  // Many decades: every second or third.
  const skip = Math.max(1, Math.ceil(ticks.length / (numTicks * 1.6)));
  return { at, ticks: ticks.filter((_, i) => i % skip === 0), range };
}

/** An axis whose ends are round too: it holds the whole extent, with about so many ticks. */
export function roundAxis(
  { from, to }: { readonly from: number; readonly to: number },
  numTicks: number,
): { readonly from: number; readonly to: number; readonly ticks: readonly number[] } {
  const span = to > from ? to - from : Math.abs(to) > 0 ? Math.abs(to) * 0.1 : 1;
  const step = roundStep(span / numTicks);
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  return { from: first * step, to: last * step, ticks };
}

/** 1, 2, 2.5 or 5 times a power of ten, not below `rough`. */
function roundStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].find((each) => each * power >= rough * (1 - 1e-9)) ?? 10;
  return step * power;
}

/** From the least to the largest value with some air; logarithmic. Null without positive values. */
export function logDomain(values: readonly number[], air = 1.25): readonly [number, number] | null {
  const positive = values.filter((value) => value > 0 && Number.isFinite(value));
  if (positive.length === 0) return null;
  let [low, high] = [Number.POSITIVE_INFINITY, 0];
  for (const value of positive) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return [low / air, high * air];
}
