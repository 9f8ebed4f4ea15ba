// Reads fields of a measured row. Rows come from many sources and grow fields over time, so a reader is lenient: what is absent, null or of
// the wrong type is `undefined`, and the caller decides what that means. Flags appear as booleans, 0/1, or their spellings.

export type Row = Readonly<Record<string, unknown>>;

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function child(row: Row, key: string): Row {
  const value = row[key];
  return isRow(value) ? value : {};
}

export function text(row: Row, key: string): string | undefined {
  const value = row[key];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** A finite number; numbers in text are read too. */
export function num(row: Row, key: string): number | undefined {
  const value = row[key];
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value !== "string" || value.trim() === "") return undefined;
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : undefined;
}

/** No count of devices, tokens, sequences or layers is larger; beyond, products of counts are no longer exact. */
const largestCount = 1e9;

/** A whole number >= 1. */
export function count(row: Row, key: string): number | undefined {
  const value = num(row, key);
  return value !== undefined && Number.isInteger(value) && value >= 1 && value <= largestCount ? value : undefined;
}

export function flag(row: Row, key: string): boolean | undefined {
  const value = row[key];
  if (typeof value === "boolean") return value;
  if (value === 0 || value === 1) return value === 1;
  if (typeof value !== "string") return undefined;
  if (/^(true|1|yes|on)$/i.test(value)) return true;
  return /^(false|0|no|off)$/i.test(value) ? false : undefined;
}

/** A list of words: an array, or text such as `[layernorm moe_act]` or `a, b`. */
export function words(row: Row, key: string): readonly string[] | undefined {
  const value = row[key];
  if (Array.isArray(value)) return value.filter((item): item is string => typeof item === "string");
  if (typeof value !== "string") return undefined;
  return value.split(/[\s,[\]'"]+/).filter((word) => word !== "");
}

/** `other_flags` and, for rows of a command line, its `args` (names with dashes). */
export function flagsOf(row: Row): Row {
  return child(row, "other_flags");
}
export function argsOf(row: Row): Row {
  return child(flagsOf(row), "args");
}

/** Devices of the job: as stated, or what its parallel sizes multiply to. */
export function devicesOf(row: Row): number | undefined {
  const dp = count(row, "dp");
  const product = ["tp", "pp", "cp"].reduce((ranks, key) => ranks * (count(row, key) ?? 1), dp ?? 1);
  return count(row, "gpus") ?? (dp === undefined ? undefined : product);
}

/** Trainers on XLA, by the framework's name in lower case. */
export function isXla(framework: string): boolean {
  return /jax|maxtext|xla|tpu/.test(framework);
}
