// What one measured system says of a collective: its own curve, or that of an operation with the same traffic.

import type { CollectiveOp, CostSource } from "../types.ts";
import { rankMicros } from "./rankInterpolation.ts";
import type { NetworkTables, RankCurves, TableBackend, TableDType } from "./tables.ts";

export interface Estimate {
  readonly durationSec: number;
  readonly source: CostSource;
  /** Where the trust differs from that of the source: a distant sibling. */
  readonly relStd?: number;
}

/** One collective among `ranks` ranks inside a node, with the backend and number format of the tables. */
export interface Ask {
  readonly op: CollectiveOp;
  readonly sizeBytes: number;
  readonly ranks: number;
  readonly backend: TableBackend;
  readonly dtype: TableDType;
}

/** How an operation without its own curves follows from another one: same links, same traffic. */
const STAND_IN: Readonly<
  Partial<
    Record<
      CollectiveOp,
      readonly {
        readonly op: CollectiveOp;
        readonly sizeFactor: (ranks: number) => number;
        readonly timeFactor: number;
      }[]
    >
  >
> = {
  // One phase of the two-phase all-reduce.
  allGather: [{ op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 }],
  reduceScatter: [{ op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 }],
  // A root's ring sends the buffer once; an all-gather sends (n-1)/n of it.
  broadcast: [
    { op: "allGather", sizeFactor: (n) => n / (n - 1), timeFactor: 1 },
    { op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 },
  ],
  allToAll: [
    { op: "allGather", sizeFactor: () => 1, timeFactor: 1 },
    { op: "allReduce", sizeFactor: () => 1, timeFactor: 0.5 },
  ],
  // Two ranks of an all-to-all send half their buffer each, both directions at once.
  sendRecv: [{ op: "allToAll", sizeFactor: () => 2, timeFactor: 1 }],
};

/** Curves that answer for an operation on a system: its own, or another operation's with factors on size and time. */
export interface FoundCurves {
  readonly table: RankCurves;
  readonly op: CollectiveOp;
  readonly sizeFactor: number;
  readonly timeFactor: number;
  readonly standIn: boolean;
}

/** The curves of one measured system, operations without curves by their stand-in; `avoid`: operations whose curves must not be used. */
export function findCurves(
  tables: NetworkTables,
  system: string,
  ask: Pick<Ask, "op" | "ranks" | "backend" | "dtype">,
  avoid: readonly CollectiveOp[] = [],
): FoundCurves | undefined {
  const find = (op: CollectiveOp): RankCurves | undefined =>
    avoid.includes(op)
      ? undefined
      : (tables.find({ system, op, backend: ask.backend, dtype: ask.dtype, numNodes: 1 }) ??
        (ask.dtype === "int8"
          ? tables.find({ system, op, backend: ask.backend, dtype: "float", numNodes: 1 })
          : undefined));
  const own = find(ask.op);
  if (own !== undefined) return { table: own, op: ask.op, sizeFactor: 1, timeFactor: 1, standIn: false };
  for (const other of STAND_IN[ask.op] ?? []) {
    const table = find(other.op);
    if (table === undefined) continue;
    return {
      table,
      op: other.op,
      sizeFactor: other.sizeFactor(ask.ranks),
      timeFactor: other.timeFactor,
      standIn: true,
    };
  }
  return undefined;
}

/** Microseconds that found curves say; `direct` when the size and the rank count were measured. */
export function curvesMicros(
  found: FoundCurves,
  ranks: number,
  sizeBytes: number,
  hopMicros: number,
): { readonly micros: number; readonly direct: boolean } {
  const { micros, direct } = rankMicros(found.table, found.op, ranks, sizeBytes * found.sizeFactor, hopMicros);
  return { micros: micros * found.timeFactor, direct: direct && !found.standIn };
}

/** Both at once. */
export function systemMicros(
  tables: NetworkTables,
  system: string,
  ask: Ask,
  hopMicros: number,
  avoid: readonly CollectiveOp[] = [],
): { readonly micros: number; readonly direct: boolean } | undefined {
  const found = findCurves(tables, system, ask, avoid);
  return found === undefined ? undefined : curvesMicros(found, ask.ranks, ask.sizeBytes, hopMicros);
}
