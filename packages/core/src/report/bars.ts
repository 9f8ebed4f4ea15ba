// Horizontal bars of eighth-block characters: a share of a width, optionally starting at an offset (waterfall) or cut into parts (memory).

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar from 0 to `frac` of `width` columns; not padded. A share above 0 always shows. */
export function bar(frac: number, width: number): string {
  const units = Math.round(Math.max(0, Math.min(1, frac)) * width * 8);
  const shown = frac > 0 ? Math.max(1, units) : units;
  return "█".repeat(Math.floor(shown / 8)) + eighths[shown % 8]!;
}

/** A waterfall step: `frac` of the width, starting where the steps before it ended. Whole columns, so that steps meet. */
export function waterfallBar(
  from: number,
  frac: number,
  width: number,
): { readonly gap: string; readonly bar: string } {
  const start = Math.round(from * width);
  const end = Math.round((from + frac) * width);
  if (end > start) return { gap: " ".repeat(start), bar: "█".repeat(end - start) };
  // Too small for a column of its own: a thin mark at its place.
  return { gap: " ".repeat(Math.min(start, width - 1)), bar: frac > 0 ? "▏" : "" };
}

export interface BarPart {
  readonly frac: number;
  readonly fill: string;
}

/** Parts side by side over `width` columns, the rest filled with `empty`. Parts beyond the width are cut off. */
export function stackedBar(parts: readonly BarPart[], width: number, empty: string): string {
  let at = 0;
  let columns = 0;
  let text = "";
  for (const part of parts) {
    at += part.frac;
    const end = Math.min(width, Math.round(at * width));
    text += part.fill.repeat(Math.max(0, end - columns));
    columns = Math.max(columns, end);
  }
  return text + empty.repeat(width - columns);
}
