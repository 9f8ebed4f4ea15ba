// Rates for people: three digits and a thousands letter.

export function formatNumber(value: number): string {
  for (const [size, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ] as const)
    if (value >= size) return `${(value / size).toPrecision(3)}${letter}`;
  return value.toPrecision(3);
}
