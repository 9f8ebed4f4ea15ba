// Reads the network CSVs of the shared folder into curves, one per measured setting.

import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";

export interface RawCurve {
  /** File name without `.csv`: the measured system. */
  readonly system: string;
  /** Setting: for collectives [op, backend, gpus, nodes, dtype]. */
  readonly key: readonly (string | number)[];
  /** Size -> microseconds. */
  readonly points: Map<number, number>;
}

function readRows(file: string): Record<string, string>[] {
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const header = lines[0]!.split(",");
  return lines.slice(1).map((line) => {
    const cells = line.split(",");
    return Object.fromEntries(header.map((name, i) => [name, cells[i] ?? ""]));
  });
}

export function readFolder(folder: string): { system: string; rows: Record<string, string>[] }[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".csv"))
    .sort()
    .map((name) => ({ system: basename(name, ".csv"), rows: readRows(join(folder, name)) }));
}

/** Groups rows into curves; repeated points are averaged. */
export function curvesOf(
  system: string,
  rows: readonly Record<string, string>[],
  key: (row: Record<string, string>) => (string | number)[],
  sizeColumn: string,
): RawCurve[] {
  const groups = new Map<string, RawCurve>();
  for (const row of rows) {
    const parts = key(row);
    const size = Number(row[sizeColumn]);
    const micros = Number(row.latency_us);
    if (!(size > 0) || !(micros > 0)) continue;
    const id = parts.join("|");
    let curve = groups.get(id);
    if (curve === undefined) {
      curve = { system, key: parts, points: new Map() };
      groups.set(id, curve);
    }
    const before = curve.points.get(size);
    curve.points.set(size, before === undefined ? micros : (before + micros) / 2);
  }
  return [...groups.values()];
}
