// What of the rows is shown; it goes with a shared link. Values that an old link names and that are there no more show nothing and say so.

import type { AccuracyRow, Quantity } from "./rows.ts";

/** Fields of a row that can be filtered and coloured by. */
export const facets = [
  { key: "tier", title: "Tier" },
  { key: "source", title: "Source" },
  { key: "accelerator", title: "Accelerator" },
  { key: "framework", title: "Framework" },
  { key: "kind", title: "Model" },
  { key: "precision", title: "Format" },
] as const satisfies readonly { readonly key: keyof AccuracyRow; readonly title: string }[];

export type Facet = (typeof facets)[number]["key"];

export interface AccuracyView {
  readonly quantity: Quantity;
  readonly colourBy: Facet;
  /** Chosen value of each facet that is narrowed. */
  readonly only: Readonly<Partial<Record<Facet, string>>>;
  readonly picked: string | null;
}

/** Rows of tier `aux` are not scored, so the page begins with those that are. */
export const firstView: AccuracyView = { quantity: "step", colourBy: "accelerator", only: {}, picked: null };

export function readAccuracyView(stored: unknown): AccuracyView {
  if (typeof stored !== "object" || stored === null) return firstView;
  const { quantity, colourBy, only, picked } = stored as Readonly<Record<string, unknown>>;
  const chosen: Partial<Record<Facet, string>> = {};
  if (typeof only === "object" && only !== null)
    for (const { key } of facets) {
      const value = (only as Readonly<Record<string, unknown>>)[key];
      if (typeof value === "string") chosen[key] = value;
    }
  return {
    quantity: quantity === "memory" ? "memory" : "step",
    colourBy: facets.find(({ key }) => key === colourBy)?.key ?? firstView.colourBy,
    only: chosen,
    picked: typeof picked === "string" ? picked : null,
  };
}

export function filtered(rows: readonly AccuracyRow[], { only }: AccuracyView): readonly AccuracyRow[] {
  return rows.filter((row) => facets.every(({ key }) => only[key] === undefined || row[key] === only[key]));
}

/** Values of a facet among rows, most frequent first. */
export function valuesOf(
  rows: readonly AccuracyRow[],
  facet: Facet,
): readonly { readonly value: string; readonly count: number }[] {
  const counts = new Map<string, number>();
  for (const row of rows) counts.set(row[facet], (counts.get(row[facet]) ?? 0) + 1);
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => b.count - a.count || (a.value < b.value ? -1 : 1));
}
