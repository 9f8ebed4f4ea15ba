// How far predictions of this kind have been from measurements, in a sentence for under a report. The figures come with the library: scripts/writeAccuracy.ts
// predicts every published row and writes them.

import { formatPercent, grouped } from "../units/format.ts";
import { type AccuracyEntry, accuracySummary } from "../validate/accuracySummary.ts";

/** Sentences; the tier is `core`, rows that are scored. */
export function accuracyNote(): readonly string[] {
  const step = entryOf("step_time");
  const memory = entryOf("peak_memory");
  return [
    `Against ${grouped(step.predicted)} published training runs the predicted step time is off by ${formatPercent(step.mape)} on average; half of them are within ${formatPercent(step.median)}, nine of ten within ${formatPercent(step.p90)}`,
    `Against ${grouped(memory.predicted)} measured peaks of memory the prediction is off by ${formatPercent(memory.mape)} on average; nine of ten are within ${formatPercent(memory.p90)}`,
  ];
}

function entryOf(quantity: AccuracyEntry["quantity"]): AccuracyEntry {
  const entry = accuracySummary.find(
    (each) => each.tier === "core" && each.quantity === quantity && each.source === "*",
  );
  if (entry === undefined) throw new Error(`accuracy.json has no summary of ${quantity}`);
  return entry;
}
