// Writes base units as people read them: three significant digits, the fitting prefix, no exponent.
//
// Memory is shown in binary units (GiB), link and memory bandwidth in decimal bytes (GB/s), network links on request in
// bits. The text is stable (no locale), so reports and tests may compare it.

/** `1.5 GiB`, `512 B`. */
export function formatBytes(sizeBytes: number): string {
  return scaled(sizeBytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]);
}

/** `3.35 TB/s`. */
export function formatRate(bytesPerSec: number): string {
  return scaled(bytesPerSec, 1000, ["B/s", "kB/s", "MB/s", "GB/s", "TB/s", "PB/s"]);
}

/** `400 Gb/s`: the same quantity as a network port names it. */
export function formatBitRate(bytesPerSec: number): string {
  return scaled(bytesPerSec * 8, 1000, ["b/s", "kb/s", "Mb/s", "Gb/s", "Tb/s", "Pb/s"]);
}

/** `12.3 us`, `4.56 ms`, `1.20 s`, `3 min 20 s`, `5 h 12 min`, `3 d 4 h`. */
export function formatSeconds(durationSec: number): string {
  const abs = Math.abs(durationSec);
  if (abs === 0) return "0 s";
  if (abs < 1e-6) return `${significant(durationSec * 1e9)} ns`;
  if (significantValue(abs * 1e6) < 1000) return `${significant(durationSec * 1e6)} us`;
  if (significantValue(abs * 1e3) < 1000) return `${significant(durationSec * 1e3)} ms`;
  if (significantValue(abs) < 120) return `${significant(durationSec)} s`;
  const sign = durationSec < 0 ? "-" : "";
  const two = (big: number, bigUnit: string, small: number, smallUnit: string): string => {
    const total = Math.round(abs / small);
    const perBig = big / small;
    const rest = total % perBig;
    return `${sign}${Math.floor(total / perBig)} ${bigUnit}${rest === 0 ? "" : ` ${rest} ${smallUnit}`}`;
  };
  if (abs < 3600 - 0.5) return two(60, "min", 1, "s");
  if (abs < 86400 - 30) return two(3600, "h", 60, "min");
  return two(86400, "d", 3600, "h");
}

/** `989 TFLOP`. */
export function formatFlops(workFlops: number): string {
  return scaled(workFlops, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP", "ZFLOP"]);
}

/** `989 TFLOP/s`. */
export function formatFlopRate(flopsPerSec: number): string {
  return `${formatFlops(flopsPerSec)}/s`;
}

/** `$2.50`, `$12,345`, `$1.2M`. */
export function formatUsd(costUsd: number): string {
  const sign = costUsd < 0 ? "-" : "";
  const abs = Math.abs(costUsd);
  if (abs === 0) return "$0";
  if (abs < 0.01) return `${sign}$${abs.toPrecision(2)}`;
  if (abs < 1000) return `${sign}$${abs.toFixed(2)}`;
  if (abs < 999_999.5) return `${sign}$${grouped(Math.round(abs))}`;
  return `${sign}$${scaled(abs, 1000, ["", "k", "M", "B", "T"]).replace(" ", "")}`;
}

/** `70.6B` parameters, `1.5k` tokens. */
export function formatCount(count: number): string {
  return scaled(count, 1000, ["", "k", "M", "B", "T"]).replace(" ", "");
}

/** `405,850,000`. */
export function grouped(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

/** A share 0..1 as `42.3 %`. */
export function formatPercent(frac: number): string {
  return `${(frac * 100).toFixed(Math.abs(frac) < 0.0995 ? 2 : 1)} %`;
}

function scaled(value: number, base: number, units: readonly string[]): string {
  const abs = Math.abs(value);
  let index = 0;
  let rest = abs;
  // Compare what will be printed, so that 999.9996 becomes 1.00 of the next unit.
  while (index < units.length - 1 && significantValue(rest) >= base) {
    rest /= base;
    index += 1;
  }
  const text = index === 0 && Number.isInteger(rest) ? String(rest) : significant(rest);
  return `${value < 0 ? "-" : ""}${text} ${units[index]}`;
}

function significantValue(value: number): number {
  return Number(value.toPrecision(value >= 1000 ? 4 : 3));
}

/** Three significant digits without an exponent; integers from 100 up keep all their digits. */
function significant(value: number): string {
  const abs = Math.abs(value);
  if (abs >= 100) return String(Math.round(value));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(abs === 0 ? 1 : Number(abs.toPrecision(3)))));
  return value.toFixed(Math.min(digits, 12));
}
