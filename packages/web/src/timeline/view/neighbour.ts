// From span to span by keys: along a row, or to the row above or below at the same time.

import { firstAbove, type Row, rowOf, type SpanTable } from "../model/spanTable.ts";
import type { Layout } from "./layout.ts";

export type Step = "next" | "previous" | "above" | "below";

/** @param span -1: none is chosen yet, and the one at `middleSec` of the first row is. @returns -1 where there is none. */
export function neighbour(table: SpanTable, layout: Layout, span: number, step: Step, middleSec: number): number {
  const rows = layout.groups.flatMap((group) => group.rows.map(({ row }) => row));
  if (rows.length === 0) return -1;
  if (span < 0) return nearest(table, rows[0]!, middleSec);
  const row = rowOf(table, span);
  if (step === "next") return span + 1 < row.to ? span + 1 : -1;
  if (step === "previous") return span > row.from ? span - 1 : -1;
  const at = rows.indexOf(row);
  const to = rows[at + (step === "above" ? -1 : 1)];
  return at < 0 || to === undefined ? -1 : nearest(table, to, (table.startSec[span]! + table.endSec[span]!) / 2);
}

function nearest(table: SpanTable, row: Row, sec: number): number {
  const next = Math.min(row.to - 1, firstAbove(table.endSec, row.from, row.to, sec));
  if (next === row.from || table.startSec[next]! <= sec) return next;
  return table.startSec[next]! - sec < sec - table.endSec[next - 1]! ? next : next - 1;
}
