// Finding spans by name: words that must all occur, in any order and case. Names are few (hundreds) and spans many, so names are matched once.

import type { SpanTable } from "../model/spanTable.ts";

/** 1 for each name that matches; null for an empty query. */
export function matchNames(table: SpanTable, query: string): Uint8Array | null {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  if (words.length === 0) return null;
  return Uint8Array.from(table.names, (name) => {
    const text = name.toLowerCase();
    return words.every((word) => text.includes(word)) ? 1 : 0;
  });
}

export interface Found {
  readonly count: number;
  readonly totalSec: number;
}

/** Charges are no spans of their own: what they say is a figure of the rank. */
export function countMatches(table: SpanTable, matches: Uint8Array): Found {
  let count = 0;
  let totalSec = 0;
  for (const { role, from, to } of table.rows) {
    if (role === "charges") continue;
    for (let i = from; i < to; i++) {
      if (matches[table.name[i]!] !== 1) continue;
      count++;
      totalSec += table.endSec[i]! - table.startSec[i]!;
    }
  }
  return { count, totalSec };
}

/** The match that starts next after (or before) a span in time, around the end; -1 when there is none. Equal starts go by their place in the table. */
export function nextMatch(table: SpanTable, matches: Uint8Array, after: number, direction: 1 | -1): number {
  const { startSec } = table;
  const isBefore = (a: number, b: number) => startSec[a]! < startSec[b]! || (startSec[a] === startSec[b] && a < b);
  let first = -1;
  let next = -1;
  for (const { role, from, to } of table.rows) {
    if (role === "charges") continue;
    for (let i = from; i < to; i++) {
      if (matches[table.name[i]!] !== 1) continue;
      if (first < 0 || (direction === 1 ? isBefore(i, first) : isBefore(first, i))) first = i;
      if (after < 0 || i === after) continue;
      const isBeyond = direction === 1 ? isBefore(after, i) : isBefore(i, after);
      if (isBeyond && (next < 0 || (direction === 1 ? isBefore(i, next) : isBefore(next, i)))) next = i;
    }
  }
  return next < 0 ? first : next;
}
