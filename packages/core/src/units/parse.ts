// Reads quantities as people write them (`8GiB`, `400Gb/s`, `50us`, `312 TFLOP/s`, `$2.50`) into base units.
//
// Case matters where the world made it matter: `b` is bits and `B` bytes; SI prefixes are accepted in either case
// (`gb/s` is read as bits). Decimal prefixes are powers of 1000, `Ki Mi Gi Ti Pi` powers of 1024. A bare number is
// already in base units. Every parser throws InputError with the path it was given.

import { InputError } from "./errors.ts";

export type QuantityKind = "bytes" | "rate" | "seconds" | "flops" | "flopRate" | "usd" | "watts" | "hertz" | "count";

const DECIMAL: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12, p: 1e15, e: 1e18 };
const BINARY: Readonly<Record<string, number>> = {
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
  pi: 2 ** 50,
  ei: 2 ** 60,
};

const SECONDS: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6,
  μs: 1e-6,
  ms: 1e-3,
  s: 1,
  sec: 1,
  second: 1,
  seconds: 1,
  min: 60,
  minute: 60,
  minutes: 60,
  h: 3600,
  hr: 3600,
  hour: 3600,
  hours: 3600,
  d: 86400,
  day: 86400,
  days: 86400,
  week: 604800,
  weeks: 604800,
};

const EXAMPLE: Readonly<Record<QuantityKind, string>> = {
  bytes: '"80GiB" or "512MB"',
  rate: '"400Gb/s" or "3.35TB/s"',
  seconds: '"5us" or "1.5ms"',
  flops: '"2.1TFLOP"',
  flopRate: '"989TFLOP/s"',
  usd: '"$2.50" or 2.5',
  watts: '"700W"',
  hertz: '"1.83GHz"',
  count: '"4k", "1.5M" or 4096',
};

/** Bytes from `80GiB`, `512 MB`, `4096`; bits when written with a small b. */
export function parseBytes(value: unknown, path = ""): number {
  return parseQuantity(value, "bytes", path);
}

/** Seconds from `5us`, `1.5 ms`, `2h`. */
export function parseSeconds(value: unknown, path = ""): number {
  return parseQuantity(value, "seconds", path);
}

/** Any quantity; the result is in base units, finite and not negative. */
export function parseQuantity(value: unknown, kind: QuantityKind, path = ""): number {
  const fail = (): never => {
    const shown = typeof value === "string" ? `"${value}"` : String(JSON.stringify(value) ?? value);
    throw new InputError({
      path,
      message: `Cannot read ${shown} as ${describe(kind)}`,
      hint: `write it like ${EXAMPLE[kind]}`,
    });
  };
  if (typeof value === "number") return Number.isFinite(value) && value >= 0 ? value : fail();
  if (typeof value !== "string") return fail();
  const match = /^\s*(\$?)\s*((?:\d[\d_,]*)?\.?\d+(?:[eE][+-]?\d+)?|\d[\d_,]*\.?)\s*([^\d\s].*?)?\s*$/.exec(value);
  if (match === null) return fail();
  const number = Number((match[2] ?? "").replace(/[_,]/g, ""));
  const unit = match[3] ?? "";
  if ((match[1] ?? "") === "$" && kind !== "usd") return fail();
  const scale = unitScale(unit, kind);
  const result = number * (scale ?? Number.NaN);
  return Number.isFinite(result) ? result : fail();
}

function describe(kind: QuantityKind): string {
  switch (kind) {
    case "bytes":
      return "a size";
    case "rate":
      return "a bandwidth";
    case "seconds":
      return "a time";
    case "flops":
      return "a number of operations";
    case "flopRate":
      return "a compute rate";
    case "usd":
      return "an amount of dollars";
    case "watts":
      return "a power";
    case "hertz":
      return "a frequency";
    case "count":
      return "a count";
  }
}

/** Factor to base units, or undefined when the unit does not belong to the kind. */
function unitScale(unit: string, kind: QuantityKind): number | undefined {
  if (unit === "") return 1;
  switch (kind) {
    case "bytes":
      return byteScale(unit);
    case "rate": {
      const match = /^(.*?)(?:\/s|\/sec|ps)$/.exec(unit);
      return match === null ? undefined : byteScale(match[1] ?? "");
    }
    case "seconds":
      return SECONDS[unit] ?? SECONDS[unit.toLowerCase()];
    case "flops":
      return prefixScale(/^(.*?)(?:flops?)?$/i.exec(unit)?.[1] ?? "?");
    case "flopRate":
      return prefixScale(/^(.*?)(?:flops?\/s|flops?|op\/s|ops)?$/i.exec(unit)?.[1] ?? "?");
    case "usd":
      return /^(usd|dollars?)$/i.test(unit) ? 1 : prefixScale(unit);
    case "watts":
      return suffixed(unit, "w");
    case "hertz":
      return suffixed(unit, "hz");
    case "count":
      return prefixScale(unit);
  }
}

function suffixed(unit: string, suffix: string): number | undefined {
  const lower = unit.toLowerCase();
  return lower.endsWith(suffix) ? prefixScale(lower.slice(0, -suffix.length)) : undefined;
}

function byteScale(unit: string): number | undefined {
  const match = /^(.*?)(B|bytes?|b|bits?)$/.exec(unit);
  if (match === null) {
    // `80G` is common in configuration files and means bytes.
    return prefixScale(unit);
  }
  const scale = prefixScale(match[1] ?? "");
  const isBits = /^b(its?)?$/.test(match[2] ?? "");
  return scale === undefined ? undefined : isBits ? scale / 8 : scale;
}

function prefixScale(prefix: string): number | undefined {
  const lower = prefix.trim().toLowerCase();
  return DECIMAL[lower] ?? BINARY[lower];
}
