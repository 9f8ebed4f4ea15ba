// Totals over one rank's step: its ops by name, where the prices came from, and how far the step can be trusted.

import type { ActionCost } from "./streams/simulateAction.ts";
import { SHARES } from "./streams/streamOps.ts";
import type { OpTotal, TimeKind } from "./types.ts";

export interface WeightedCost {
  readonly cost: ActionCost;
  readonly times: number;
}

/** Ops of the step, longest first. */
export function opTotals(costs: readonly WeightedCost[]): OpTotal[] {
  const found = new Map<string, { -readonly [K in keyof OpTotal]: OpTotal[K] }>();
  for (const { cost, times } of costs) {
    for (const op of cost.ops.values()) {
      let total = found.get(op.name);
      if (total === undefined) {
        total = {
          name: op.name,
          kind: SHARES[op.share] as TimeKind,
          count: 0,
          durationSec: 0,
          exposedSec: 0,
          workFlops: 0,
          sizeBytes: 0,
          source: op.source,
        };
        found.set(op.name, total);
      }
      total.count += op.count * times;
      total.durationSec += op.durationSec * times;
      total.exposedSec += op.exposedSec * times;
      total.workFlops += op.workFlops * times;
      total.sizeBytes += op.sizeBytes * times;
    }
  }
  return [...found.values()].sort((a, b) => b.durationSec - a.durationSec || (a.name < b.name ? -1 : 1));
}

/** Share of priced, exposed seconds by source; sums to 1 when anything was priced. */
export function sourceShares(costs: readonly WeightedCost[]): Record<string, number> {
  const seconds: Record<string, number> = {};
  let total = 0;
  for (const { cost, times } of costs) {
    for (const [source, share] of cost.sources) {
      seconds[source] = (seconds[source] ?? 0) + share.sec * times;
      total += share.sec * times;
    }
  }
  if (total > 0) for (const source of Object.keys(seconds)) seconds[source]! /= total;
  return seconds;
}

/**
 * What no price knows: settings a description leaves open, the state of the machine, software beyond its preset. Chosen so that one standard deviation
 * holds two thirds of the measured core rows (68 % within one, 91 % within two; docs/accuracy.md).
 */
const MODEL_FORM_STD = 0.08;

/**
 * Relative standard deviation of the step. Prices of one source err together (one fit, one table), so their deviations add; sources are independent of
 * each other, of the straggler term (uncertain by half of itself) and of the model's form.
 */
export function stepRelStd(
  costs: readonly WeightedCost[],
  at: { readonly stepSec: number; readonly straggler: number },
): number {
  const bySource = new Map<string, number>();
  for (const { cost, times } of costs) {
    for (const [source, share] of cost.sources)
      bySource.set(source, (bySource.get(source) ?? 0) + share.stdSec * times);
  }
  let variance = MODEL_FORM_STD ** 2 + (at.straggler / 2) ** 2;
  for (const stdSec of bySource.values()) variance += (stdSec / at.stepSec) ** 2;
  return Math.sqrt(variance);
}
