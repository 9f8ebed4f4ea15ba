// Predictions for a measured machine by name: its own curves, also at sizes, rank counts and node counts between and
// beyond them. This is what rows of the network tables are checked against; a plan for a described cluster uses collective.ts.

import { rankMicros } from "./rankInterpolation.ts";
import { type Ask, systemMicros } from "./scaleUp.ts";
import { type NetworkTables, shippedTables } from "./tables.ts";

/** One more hop of a ring, where no cluster says it: NVLink and PCIe slopes of the small-message tables. */
const HOP_MICROS = 1;
/** One more round between nodes. */
const NODE_HOP_MICROS = 10;

/** Microseconds of a collective on a machine that has tables, or undefined. */
export function measuredMicros(
  system: string,
  ask: Ask & { readonly numNodes: number },
  tables: NetworkTables = shippedTables,
): number | undefined {
  if (!tables.systems.some((s) => s.id === system)) return undefined;
  if (ask.numNodes === 1) return systemMicros(tables, system, ask, HOP_MICROS)?.micros;
  const own =
    tables.find({ system, op: ask.op, backend: ask.backend, dtype: ask.dtype, numNodes: ask.numNodes }) ??
    tables.find({ system, op: ask.op, backend: ask.backend, dtype: "float", numNodes: ask.numNodes });
  if (own !== undefined) return rankMicros(own, ask.op, ask.ranks, ask.sizeBytes, HOP_MICROS).micros;
  // More nodes than measured: a NIC carries (f-1)/f of the buffer instead of half of it, and the rounds grow with log2 f.
  const two = tables.find({ system, op: ask.op, backend: ask.backend, dtype: "float", numNodes: 2 });
  if (two === undefined || ask.op === "sendRecv")
    return two === undefined ? undefined : rankMicros(two, ask.op, ask.ranks, ask.sizeBytes, HOP_MICROS).micros;
  const nodes = ask.numNodes;
  const traffic = (2 * (nodes - 1)) / nodes;
  const perTwo = rankMicros(two, ask.op, (ask.ranks / nodes) * 2, ask.sizeBytes * traffic, HOP_MICROS).micros;
  return perTwo + 2 * (Math.ceil(Math.log2(nodes)) - 1) * NODE_HOP_MICROS;
}
