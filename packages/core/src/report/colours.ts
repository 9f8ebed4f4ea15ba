// The one table of colours: compute, communication of each axis, idle time, kinds of memory. The web app, pictures and reports read the
// hexes, the terminal reads the tone nearest to them, so that a colour means the same everywhere.
//
// Each pair is for a light and for a dark ground, with at least 3:1 against it (WCAG 2.2, 1.4.11); hues of neighbours in a stack differ.

import type { Tone } from "./paint.ts";

export interface PartColour {
  readonly light: string;
  readonly dark: string;
  readonly tone: Tone;
}

const colour = (tone: Tone, light: string, dark: string): PartColour => ({ light, dark, tone });

/** By key of a time part (report/stepParts.ts). A communication axis alone has the colour of its exposed part: `partColour("tp")`. */
export const timeColours = {
  compute: colour("green", "#2f8a5b", "#4fb37c"),
  exposed_tp: colour("yellow", "#b07512", "#dfa63a"),
  exposed_cp: colour("yellow", "#77861c", "#abbd45"),
  exposed_ep: colour("yellow", "#c2551c", "#ee8850"),
  exposed_dp: colour("blue", "#2f6fc4", "#629ff0"),
  exposed_pp: colour("magenta", "#7c55c7", "#a88aec"),
  exposed_copy: colour("dim", "#8a6d5a", "#b99c87"),
  host: colour("magenta", "#b3438b", "#df7dba"),
  bubble: colour("red", "#c04a4a", "#e07272"),
  optimizer: colour("cyan", "#16808f", "#41b6c6"),
  straggler: colour("red", "#8f3550", "#cf6f8c"),
} as const satisfies Readonly<Record<string, PartColour>>;

/** Losses of a waterfall from peak to achieved (plan/explain) that are no time part of their own: what kernels lose, and uneven stages. */
export const lossColours = {
  kernels: timeColours.compute,
  useful: timeColours.compute,
  nonModel: colour("dim", "#6c7683", "#98a3b0"),
  gemm: colour("green", "#3d7f73", "#6cb5a6"),
  attention: colour("green", "#5d7f2e", "#a3c06a"),
  clock: colour("green", "#99703f", "#cfa874"),
  memory: colour("green", "#5c9577", "#93cdb0"),
  recompute: colour("blue", "#5b6b86", "#8fa1c0"),
  imbalance: colour("red", "#d0705f", "#ea9a8a"),
} as const satisfies Readonly<Record<string, PartColour>>;

/** By key of a memory part. */
export const memoryColours = {
  parameters: colour("blue", "#2f6fc4", "#629ff0"),
  gradients: colour("cyan", "#16808f", "#41b6c6"),
  optimizer: colour("green", "#2f8a5b", "#4fb37c"),
  activations: colour("yellow", "#b07512", "#dfa63a"),
  workspace: colour("magenta", "#b3438b", "#df7dba"),
  fragmentation: colour("red", "#c04a4a", "#e07272"),
  reserved: colour("dim", "#7b838d", "#8b949e"),
} as const satisfies Readonly<Record<string, PartColour>>;

/** Actions of a pipeline schedule: compute, told apart by what it computes. */
export const actionColours = {
  forward: colour("blue", "#5575a6", "#93b2df"),
  backward: colour("green", "#2c7a50", "#4fb37c"),
  "weight gradient": colour("yellow", "#6f8f2a", "#a9cc62"),
} as const satisfies Readonly<Record<string, PartColour>>;

export type TimeColourKey = keyof typeof timeColours;
export type MemoryColourKey = keyof typeof memoryColours;

/** Colour of time by part key (`exposed_tp`, `bubble`) or by kind of an op (`compute`, `tp`, `copy`). Unknown keys are the plain grey of `reserved`. */
export function timeColour(key: string): PartColour {
  const known: Readonly<Record<string, PartColour>> = timeColours;
  return known[key] ?? known[`exposed_${key}`] ?? memoryColours.reserved;
}

/** Colour of a loss of the waterfall, or of a component of a comparison (`kernels`, `tp`, `bubble`). */
export function lossColour(key: string): PartColour {
  const own: Readonly<Record<string, PartColour>> = lossColours;
  return own[key] ?? timeColour(key);
}

/** Colour of a kind of memory by its part key. */
export function memoryColour(key: string): PartColour {
  const known: Readonly<Record<string, PartColour>> = memoryColours;
  return known[key] ?? memoryColours.reserved;
}

/** Colour of an action by what it computes; null for what is none. */
export function actionColour(key: string): PartColour | null {
  const known: Readonly<Record<string, PartColour>> = actionColours;
  return known[key] ?? null;
}
