// A strategy of a search as a row of the table: plain figures and the fields of a run file that give it back.

import { softwareChanges, strategyDescription } from "@meshwright/core/plan";
import { layoutText } from "@meshwright/core/report";
import type { ResolvedSpec } from "@meshwright/core/spec";

/** Where a row comes from: the search (the best of its layout that was simulated), the look over the layouts before it (a plain strategy), or a published rule. */
export type RowOrigin = "search" | "survey" | "rule";

export interface PlanFigures {
  readonly origin: RowOrigin;
  /** Title of the published rule that gives this strategy. */
  readonly rule: string | null;
  /** What the search minimises. */
  readonly value: number;
  readonly stepSec: number;
  readonly tokensPerSec: number;
  readonly mfuCausal: number;
  /** Of the fullest rank. */
  readonly peakBytes: number;
  /** All devices, one step. */
  readonly energyJoules: number;
  readonly usdPerBillionTokens: number | null;
}

export interface PlanRow extends PlanFigures {
  /** Of the strategy: equal for equal strategies, whatever found them. */
  readonly key: string;
  readonly layout: string;
  readonly tp: number;
  readonly cp: number;
  readonly pp: number;
  readonly dp: number;
  readonly ep: number;
  readonly microBatch: number;
  readonly sharding: string;
  readonly recompute: string;
  readonly schedule: string;
  readonly capacityBytes: number;
  /** Sections of a run file. */
  readonly strategy: Readonly<Record<string, unknown>>;
  /** Facts of the software that the strategy changes. */
  readonly software: Readonly<Record<string, unknown>>;
}

const none: PlanFigures = {
  origin: "search",
  rule: null,
  value: Number.NaN,
  stepSec: Number.NaN,
  tokensPerSec: Number.NaN,
  mfuCausal: Number.NaN,
  peakBytes: Number.NaN,
  energyJoules: Number.NaN,
  usdPerBillionTokens: null,
};

/** @param given the software of the job, as it was asked for. @param figures null: of a strategy that does not fit. */
export function planRow(spec: ResolvedSpec, given: ResolvedSpec["software"], figures: PlanFigures | null): PlanRow {
  const { strategy: s, cluster } = spec;
  const strategy = strategyDescription(s);
  const software = softwareChanges(spec.software, given);
  return {
    ...(figures ?? none),
    key: JSON.stringify([strategy, software]),
    layout: layoutText(s),
    tp: s.tp,
    cp: s.cp,
    pp: s.pp,
    dp: s.dp,
    ep: s.ep,
    microBatch: s.microBatch,
    sharding: s.sharding,
    recompute: s.recompute.kind,
    schedule: s.pp > 1 ? s.schedule : "-",
    capacityBytes: cluster.device.memoryBytes,
    strategy,
    software,
  };
}

/** Rows of all origins, best first: of one layout the best, and every rule's own. */
export function mergedRows(found: readonly PlanRow[], surveyed: readonly PlanRow[]): PlanRow[] {
  const byKey = new Map<string, PlanRow>();
  for (const row of [...surveyed, ...found]) {
    const before = byKey.get(row.key);
    byKey.set(row.key, { ...row, rule: row.rule ?? before?.rule ?? null });
  }
  const bestOfLayout = new Map<string, PlanRow>();
  for (const row of byKey.values()) {
    const layout = layoutKey(row);
    const best = bestOfLayout.get(layout);
    if (best === undefined || row.stepSec < best.stepSec) bestOfLayout.set(layout, row);
  }
  return [...byKey.values()]
    .filter((row) => row.rule !== null || bestOfLayout.get(layoutKey(row)) === row)
    .sort((a, b) => a.value - b.value || (a.key < b.key ? -1 : 1));
}

function layoutKey({ tp, cp, pp, ep, microBatch }: PlanRow): string {
  return `${tp}:${cp}:${pp}:${ep}:${microBatch}`;
}
