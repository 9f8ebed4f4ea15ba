// What is said about a span, as pairs of words: for the hover card, the details and the table alike.

import {
  formatBytes,
  formatFlopRate,
  formatFlops,
  formatPercent,
  formatRate,
  formatSeconds,
} from "@meshwright/core/units";
import { rowOf, type SpanTable } from "../model/spanTable.ts";
import { categoryName } from "../paint/categoryColour.ts";

export interface Fact {
  readonly name: string;
  readonly value: string;
}

const sources: Readonly<Record<string, string>> = {
  table: "measured table",
  interpolated: "interpolated between measurements",
  fit: "fitted to measurements",
  analytic: "data sheet and formula",
};

/** Keys that have words of their own below. */
const worded: ReadonlySet<string> = new Set(["shape", "workFlops", "sizeBytes", "source", "relStd", "critical"]);

export function spanName(table: SpanTable, span: number): string {
  const name = table.names[table.name[span]!]!;
  return rowOf(table, span).role === "charges" ? categoryName(name) : name;
}

/** @param wholeSec length of the step, for shares. */
export function spanFacts(table: SpanTable, span: number, wholeSec: number): Fact[] {
  const row = rowOf(table, span);
  const durationSec = table.endSec[span]! - table.startSec[span]!;
  const facts = table.factsOf[span]! < 0 ? {} : table.facts[table.factsOf[span]!]!;
  const { shape, workFlops, sizeBytes, source, relStd } = facts;
  const list: (Fact | null)[] = [
    {
      name: "duration",
      value: `${formatSeconds(durationSec)}${wholeSec > 0 ? `, ${formatPercent(durationSec / wholeSec)}` : ""}`,
    },
    typeof relStd === "number" && relStd > 0
      ? {
          name: "uncertainty",
          value: `± ${formatSeconds(durationSec * relStd)} (${formatPercent(relStd)}), one standard deviation`,
        }
      : null,
    typeof source === "string" ? { name: "priced by", value: sources[source] ?? source } : null,
    typeof shape === "string" && shape !== "" ? { name: "shape", value: shape } : null,
    typeof workFlops === "number" && workFlops > 0
      ? { name: "work", value: `${formatFlops(workFlops)}, ${formatFlopRate(workFlops / durationSec)}` }
      : null,
    typeof sizeBytes === "number" && sizeBytes > 0
      ? { name: "bytes", value: `${formatBytes(sizeBytes)}, ${formatRate(sizeBytes / durationSec)}` }
      : null,
    ...Object.entries(facts)
      .filter(([key]) => !worded.has(key))
      .map(([key, value]) => ({ name: key.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase(), value: String(value) })),
    { name: "starts", value: formatSeconds(table.startSec[span]!) },
    {
      name: "where",
      value: `${table.groups[row.groupIndex]!.name}, ${row.role === "charges" ? "what its time counts as" : row.stream}`,
    },
    table.critical[span] === 1 ? { name: "critical path", value: "yes: the step ends sooner if this does" } : null,
  ];
  return list.filter((fact) => fact !== null);
}

/** All spans of the same name in the same group. */
export function sameName(table: SpanTable, span: number): { readonly count: number; readonly totalSec: number } {
  const { groupIndex } = rowOf(table, span);
  let count = 0;
  let totalSec = 0;
  for (const row of table.rows) {
    if (row.groupIndex !== groupIndex) continue;
    for (let i = row.from; i < row.to; i++) {
      if (table.name[i] !== table.name[span]) continue;
      count++;
      totalSec += table.endSec[i]! - table.startSec[i]!;
    }
  }
  return { count, totalSec };
}

export interface GroupCharge {
  readonly key: string;
  readonly sec: number;
}

/** What a group's time between two instants counts as, in the order of the table's categories; empty where nobody knows. */
export function groupCharges(table: SpanTable, groupIndex: number, fromSec: number, untilSec: number): GroupCharge[] {
  const sums = new Map<number, number>();
  for (const row of table.rows) {
    if (row.groupIndex !== groupIndex || row.role !== "charges") continue;
    for (let i = row.from; i < row.to; i++) {
      const sec = Math.min(untilSec, table.endSec[i]!) - Math.max(fromSec, table.startSec[i]!);
      if (sec > 0) sums.set(table.category[i]!, (sums.get(table.category[i]!) ?? 0) + sec);
    }
  }
  return [...sums].sort(([a], [b]) => a - b).map(([category, sec]) => ({ key: table.categories[category]!, sec }));
}
