// The waterfall from the device's peak to what a step achieves as rows to draw: each loss from where the one before it ended. The terminal, the pages and
// the app draw the same rows.

import type { LossKey, Waterfall } from "../plan/explain/index.ts";
import { formatFlopRate } from "../units/format.ts";

export interface WaterfallRow {
  readonly kind: "peak" | "loss" | "rest" | "achieved";
  /** Colour: core/report/colours.ts lossColour. */
  readonly key: LossKey | "useful" | "peak" | "rest";
  readonly name: string;
  /** The bar, as shares of the peak: fromFrac <= toFrac. */
  readonly fromFrac: number;
  readonly toFrac: number;
  /** What it takes away; below 0 it adds (model FLOPs that the job does not do). */
  readonly lossFrac: number;
  readonly durationSec: number;
}

/** Losses smaller than this share of the step are summed in one row. */
export const SHOWN_FRAC = 0.0005;

/** @param all every loss that is not 0, however small. */
export function waterfallRows(of: Waterfall, { all = false } = {}): readonly WaterfallRow[] {
  const rate = (frac: number) => formatFlopRate(frac * of.peakFlopsPerSec);
  const rows: WaterfallRow[] = [
    {
      kind: "peak",
      key: "peak",
      name: `peak, ${rate(1)}`,
      fromFrac: 0,
      toFrac: 1,
      lossFrac: 0,
      durationSec: of.stepSec,
    },
  ];
  let left = 1;
  let restSec = 0;
  let restFrac = 0;
  for (const { key, name, durationSec, stepFrac } of of.losses) {
    if (stepFrac === 0) continue;
    const before = left;
    left -= stepFrac;
    if (Math.abs(stepFrac) < SHOWN_FRAC && !all) {
      restSec += durationSec;
      restFrac += stepFrac;
      continue;
    }
    rows.push({
      kind: "loss",
      key,
      name,
      fromFrac: Math.min(before, left),
      toFrac: Math.max(before, left),
      lossFrac: stepFrac,
      durationSec,
    });
  }
  if (Math.abs(restFrac) > 1e-9)
    rows.push({
      kind: "rest",
      key: "rest",
      name: "all else",
      fromFrac: of.usefulFrac,
      toFrac: of.usefulFrac + Math.max(0, restFrac),
      lossFrac: restFrac,
      durationSec: restSec,
    });
  rows.push({
    kind: "achieved",
    key: "useful",
    name: `achieved, ${rate(of.usefulFrac)}`,
    fromFrac: 0,
    toFrac: of.usefulFrac,
    lossFrac: 0,
    durationSec: of.usefulSec,
  });
  return rows;
}
