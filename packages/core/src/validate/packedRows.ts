// The figures of published training runs that guard accuracy in `npm test`, packed by column: each distinct value stands once and rows refer to it
// by position. scripts/packRows.ts writes the file; this undoes it.

import { isRow, type Row } from "./rowReader.ts";

export interface PackedRows {
  readonly provenance: string;
  readonly numRows: number;
  /** Path of a field (`other_flags/fp8_recipe`) -> its distinct values and, run by run, [position of the value or -1, number of rows]. */
  readonly fields: Readonly<Record<string, { readonly values: readonly unknown[]; readonly runs: readonly number[] }>>;
}

export function packRows(rows: readonly Row[], provenance: string): PackedRows {
  interface Column {
    readonly values: unknown[];
    readonly at: number[];
    readonly seen: Map<string, number>;
  }
  const fields: Record<string, Column> = {};
  for (const [index, row] of rows.entries()) {
    for (const [path, value] of leaves(row, "")) {
      const field: Column = fields[path] ?? { values: [], at: [], seen: new Map() };
      fields[path] = field;
      const key = JSON.stringify(value);
      let position = field.seen.get(key);
      if (position === undefined) {
        position = field.values.push(value) - 1;
        field.seen.set(key, position);
      }
      while (field.at.length < index) field.at.push(-1);
      field.at.push(position);
    }
  }
  return {
    provenance,
    numRows: rows.length,
    fields: Object.fromEntries(
      Object.entries(fields).map(([path, { values, at }]) => [path, { values, runs: runsOf(at) }]),
    ),
  };
}

export function unpackRows(packed: PackedRows): readonly Row[] {
  const rows: Record<string, unknown>[] = Array.from({ length: packed.numRows }, () => ({}));
  for (const [path, { values, runs }] of Object.entries(packed.fields)) {
    let index = 0;
    for (let i = 0; i + 1 < runs.length; i += 2) {
      const position = runs[i] ?? -1;
      const end = index + (runs[i + 1] ?? 0);
      for (; index < end; index++) {
        const row = rows[index];
        if (position >= 0 && row !== undefined) place(row, path.split("/"), values[position]);
      }
    }
  }
  return rows;
}

function runsOf(at: readonly number[]): readonly number[] {
  const runs: number[] = [];
  for (const position of at) {
    if (runs.length > 0 && runs.at(-2) === position) runs[runs.length - 1] = (runs.at(-1) ?? 0) + 1;
    else runs.push(position, 1);
  }
  return runs;
}

/** `other_flags` and `measured` are split into their keys; models and everything else stay whole. */
function* leaves(row: Row, prefix: string): Generator<readonly [string, unknown]> {
  for (const [key, value] of Object.entries(row)) {
    const path = prefix === "" ? key : `${prefix}/${key}`;
    if (isRow(value) && (key === "other_flags" || key === "measured" || key === "args")) yield* leaves(value, path);
    else yield [path, value];
  }
}

function place(row: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    row[key] = value;
    return;
  }
  const inner = isRow(row[key]) ? { ...row[key] } : {};
  place(inner, rest, value);
  row[key] = inner;
}
