// What the plan page remembers in a link: sort order, filter, axes of the plot. Anything unknown is the default.

import type { Sort } from "../design/DataTable.tsx";
import { isSection } from "../state/runFile.ts";

export type PlotAxis = "headroom" | "cost" | "mfu";

export interface PlanView {
  readonly sort: Sort | null;
  readonly filter: string;
  /** Rows of published rules beside what the search found. */
  readonly rules: boolean;
  readonly plot: PlotAxis;
}

const axes: readonly PlotAxis[] = ["headroom", "cost", "mfu"];

export function readPlanView(stored: unknown): PlanView {
  const given = isSection(stored) ? stored : {};
  const { sort, filter, rules, plot } = given;
  return {
    sort:
      isSection(sort) && typeof sort["column"] === "string"
        ? { column: sort["column"], descending: sort["descending"] === true }
        : null,
    filter: typeof filter === "string" ? filter : "",
    rules: rules !== false,
    plot: axes.find((axis) => axis === plot) ?? "headroom",
  };
}
