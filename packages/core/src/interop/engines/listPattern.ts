// Megatron's pattern options, one number a layer: `([0]*3+[1]*58)`.

/** `[0,0,0,1,1]` -> `([0]*3+[1]*2)`, as Megatron's pattern options read it. */
export function listPattern(values: readonly number[]): string {
  const runs: { value: number; count: number }[] = [];
  for (const value of values) {
    const last = runs.at(-1);
    if (last?.value === value) last.count++;
    else runs.push({ value, count: 1 });
  }
  return `(${runs.map(({ value, count }) => `[${value}]*${count}`).join("+")})`;
}

/** The numbers of `([0]*3+[1]*58)`, `[1,1,0]*4`, or every N-th layer for a number N; null when it is written in another way. */
export function readListPattern(text: string, length: number): readonly number[] | null {
  if (length > 100_000) return null;
  if (/^\d+$/.test(text)) {
    const every = Number(text);
    return every < 1 ? null : Array.from({ length }, (_, i) => (i % every === 0 ? 1 : 0));
  }
  let at = 0;
  const clean = text.replace(/\s/g, "");
  const sum = (): number[] | null => {
    const all: number[] = [];
    do {
      const part = product();
      if (part === null) return null;
      all.push(...part);
    } while (clean[at] === "+" && at++ >= 0);
    return all;
  };
  const product = (): number[] | null => {
    let inner: number[] | null;
    if (clean[at] === "(") {
      at++;
      inner = sum();
      if (clean[at++] !== ")") return null;
    } else {
      const list = /^\[(\d+(?:,\d+)*)\]/.exec(clean.slice(at));
      if (list === null) return null;
      at += list[0].length;
      inner = list[1]!.split(",").map(Number);
    }
    while (inner !== null && clean[at] === "*") {
      const times = /^\*(\d{1,6})/.exec(clean.slice(at));
      if (times === null) return null;
      at += times[0].length;
      const once: readonly number[] = inner;
      if (once.length * Number(times[1]) > 100_000) return null;
      inner = Array.from({ length: Number(times[1]) }, () => once).flat();
    }
    return inner;
  };
  const all = sum();
  return all !== null && at === clean.length && all.length === length ? all : null;
}
