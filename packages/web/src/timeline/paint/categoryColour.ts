// The colour of a span by its category. Our own categories are those of the library's colour table; a trace's are mapped to them where they mean
// the same (model/traceCategory.ts), and grey where nobody knows.

import { actionColour, memoryColours, type PartColour, timeColour } from "@meshwright/core/report";
import type { Palette } from "./coverage.ts";

const plain: PartColour = memoryColours.reserved;

/** Streams that serve data parallelism carry its colour. */
const sameAs: Readonly<Record<string, string>> = {
  gather: "exposed_dp",
  reduce: "exposed_dp",
  comm: "exposed_dp",
  exposed_comm: "exposed_dp",
  idle: "bubble",
};

export function categoryColour(key: string): PartColour {
  const action = actionColour(key);
  if (action !== null) return action;
  return key === "cpu" || key === "other" ? plain : timeColour(sameAs[key] ?? key);
}

/** For HTML and SVG: follows the theme by itself. */
export function cssCategory(key: string): string {
  const { light, dark } = categoryColour(key);
  return `light-dark(${light}, ${dark})`;
}

const names: Readonly<Record<string, string>> = {
  forward: "forward",
  backward: "backward",
  "weight gradient": "weight gradient",
  compute: "compute",
  tp: "tensor parallel",
  cp: "context parallel",
  ep: "expert exchange",
  dp: "data parallel",
  pp: "pipeline sends",
  gather: "parameter gather",
  reduce: "gradient reduction",
  copy: "copies",
  host: "host gaps",
  bubble: "bubble",
  optimizer: "optimizer",
  straggler: "slow ranks",
  cpu: "CPU",
  comm: "communication",
  idle: "idle",
};

export function categoryName(key: string): string {
  const exposed = /^exposed_(.*)$/.exec(key)?.[1];
  return exposed === undefined ? (names[key] ?? key) : `exposed ${names[exposed] ?? exposed}`;
}

/** @param alphaOf how opaque a category is; `dimmed` is what is left of it for the second half of the classes. */
export function paletteOf(
  categories: readonly string[],
  isDark: boolean,
  alphaOf: (key: string) => number,
  dimmed = 0.16,
): Palette {
  const size = categories.length * 2;
  const palette: Palette = {
    red: new Float32Array(size),
    green: new Float32Array(size),
    blue: new Float32Array(size),
    alpha: new Float32Array(size),
  };
  for (let k = 0; k < size; k++) {
    const key = categories[k % categories.length]!;
    const { light, dark } = categoryColour(key);
    const [r, g, b] = rgbOf(isDark ? dark : light);
    palette.red[k] = r;
    palette.green[k] = g;
    palette.blue[k] = b;
    palette.alpha[k] = alphaOf(key) * (k < categories.length ? 1 : dimmed);
  }
  return palette;
}

export function rgbOf(hex: string): readonly [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** Whether dark text reads better than white on it (relative luminance, WCAG 2.2). */
export function wantsDarkText(hex: string): boolean {
  const [r, g, b] = rgbOf(hex).map((channel) => {
    const c = channel / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number]; // three in, three out
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b;
  return (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05);
}

const lost: ReadonlySet<string> = new Set(["bubble", "straggler", "idle"]);

/** Charges as the strip in a group's head shows them: what is lost is loud, work is quiet. */
export function stripAlpha(key: string): number {
  return key === "compute" ? 0.3 : lost.has(key) ? 0.7 : 1;
}

/** Charges as they shade the rows below: lost time alone. */
export function shadeAlpha(key: string): number {
  return lost.has(key) ? 0.1 : key.startsWith("exposed_") || key === "host" ? 0.14 : 0;
}
