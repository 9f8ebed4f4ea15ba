// Numbers to suggest when something does not divide.

/** Divisors of n, ascending. */
export function divisorsOf(n: number): number[] {
  const low: number[] = [];
  const high: number[] = [];
  for (let d = 1; d * d <= n; d++) {
    if (n % d !== 0) continue;
    low.push(d);
    if (d * d !== n) high.unshift(n / d);
  }
  return [...low, ...high];
}

/** The nearest divisors of n below and above `value`: at most two numbers. */
export function divisorsNear(n: number, value: number): number[] {
  const all = divisorsOf(n);
  const below = all.filter((d) => d < value).at(-1);
  const above = all.find((d) => d > value);
  return [below, above].filter((d) => d !== undefined);
}

/** The nearest multiples of `step` below and above `value`, at least `step`. */
export function multiplesNear(step: number, value: number): number[] {
  const below = Math.floor(value / step) * step;
  return below === 0 ? [step] : [below, below + step];
}

/** `use tp=4 or tp=8`; undefined for an empty list. */
export function useOneOf(field: string, values: readonly number[]): string | undefined {
  return values.length === 0 ? undefined : `use ${values.map((value) => `${field}=${value}`).join(" or ")}`;
}
