// The filter of the table: words and comparisons, all of which must hold. `tp=8 pp<=4 zero3 mem<70` keeps rows with tp 8, at most four stages, zero3 and
// under 70 GiB.

import type { PlanRow } from "../compute/planRow.ts";
import type { PlanView } from "./planView.ts";

type Compared = (row: PlanRow) => number;

const fields: Readonly<Record<string, Compared>> = {
  tp: (row) => row.tp,
  cp: (row) => row.cp,
  pp: (row) => row.pp,
  dp: (row) => row.dp,
  ep: (row) => row.ep,
  mb: (row) => row.microBatch,
  step: (row) => row.stepSec,
  mem: (row) => row.peakBytes / 2 ** 30,
  mfu: (row) => row.mfuCausal * 100,
  cost: (row) => row.usdPerBillionTokens ?? Number.NaN,
};

export const filterFields: readonly string[] = Object.keys(fields);

const comparisons: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  "=": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b,
};

export type Test = (row: PlanRow) => boolean;

/** One test for each word; a word that starts like a comparison and is none matches as text. */
export function filterTests(text: string): readonly Test[] {
  return text
    .trim()
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "")
    .map((word): Test => {
      const [, name, sign, value] = /^([a-z]+)(<=|>=|!=|=|<|>)([\d.]+)$/.exec(word) ?? [];
      const field = name === undefined ? undefined : fields[name];
      const compare = sign === undefined ? undefined : comparisons[sign];
      if (field !== undefined && compare !== undefined) return (row) => compare(field(row), Number(value));
      return (row) => textOf(row).includes(word);
    });
}

export function filterRows(
  rows: readonly PlanRow[],
  { filter, rules }: Pick<PlanView, "filter" | "rules">,
): readonly PlanRow[] {
  const tests = filterTests(filter);
  return rows.filter((row) => (rules || row.rule === null) && tests.every((test) => test(row)));
}

function textOf(row: PlanRow): string {
  return `${row.layout} ${row.schedule} ${row.recompute} ${row.rule ?? ""}`.toLowerCase();
}
