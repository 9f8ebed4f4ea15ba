// Which global tokens a rank holds, and how many query-key pairs its attention computes.
//
// A TokenLayout deals the positions of a sequence first to the ring coordinate (contiguous, or zigzag so that causal work is
// equal), then to the Ulysses coordinate, then to tp (sequence parallel). Everything here works on position intervals: a rank
// holds at most two per sequence, so pairs are counted by closed forms and 128k-token sequences cost nothing.
//
// Mask: a query at position i sees keys j <= i when causal, and with a window w > 0 only those with |i - j| < w (w keys, itself included).

import { assert } from "../units/errors.ts";
import { axisSize, coordinateAlong, type Mesh } from "./mesh.ts";
import type { AttentionGeometry, TokenLayout } from "./program.ts";

/** Row r of a matrix holds the token at `position[r]` of the micro-batch's `sequence[r]`-th sequence. */
export interface TokenRows {
  readonly sequence: Int32Array;
  readonly position: Int32Array;
}

/** Positions [from, to). */
export interface Interval {
  readonly from: number;
  readonly to: number;
}

/** Positions of every sequence that ring coordinate `ring` holds, ascending; sequence parallel and Ulysses not yet cut. */
function ringIntervals(layout: TokenLayout, mesh: Mesh, ring: number): readonly Interval[] {
  const ringSize = axisSize(mesh, "cpRing");
  if (layout.cp === "none" || ringSize === 1) return [{ from: 0, to: layout.seqLen }];
  if (layout.cp === "contiguous") {
    assert(layout.seqLen % ringSize === 0, `ring of ${ringSize} divides ${layout.seqLen} tokens`);
    const piece = layout.seqLen / ringSize;
    return [{ from: ring * piece, to: (ring + 1) * piece }];
  }
  assert(layout.seqLen % (2 * ringSize) === 0, `zigzag pieces 2 x ${ringSize} divide ${layout.seqLen} tokens`);
  const piece = layout.seqLen / (2 * ringSize);
  const mirror = 2 * ringSize - 1 - ring;
  return [
    { from: ring * piece, to: (ring + 1) * piece },
    { from: mirror * piece, to: (mirror + 1) * piece },
  ];
}

/** The tokens of each row of a matrix in `layout` on `rank`. O(rows). */
export function tokensOf(layout: TokenLayout, mesh: Mesh, rank: number): TokenRows {
  let positions = ringIntervals(layout, mesh, coordinateAlong(mesh, rank, "cpRing")).flatMap((interval) =>
    Array.from({ length: interval.to - interval.from }, (_, i) => interval.from + i),
  );
  if (layout.cp !== "none" && layout.ulyssesSplit) {
    positions = pieceOf(positions, mesh.ulysses, coordinateAlong(mesh, rank, "cpUlysses"));
  }
  let rows = Array.from({ length: layout.batch * positions.length }, (_, row) => row);
  if (layout.tpSplit) rows = pieceOf(rows, mesh.tp, coordinateAlong(mesh, rank, "tp"));
  if (layout.rowsFrom !== undefined)
    rows = rows.slice(layout.rowsFrom, layout.rowsFrom + (layout.numRows ?? rows.length));
  return {
    sequence: Int32Array.from(rows, (row) => Math.floor(row / positions.length)),
    position: Int32Array.from(rows, (row) => positions[row % positions.length]!),
  };
}

function pieceOf(list: number[], pieces: number, index: number): number[] {
  assert(list.length % pieces === 0, `${pieces} pieces divide ${list.length} rows`);
  const length = list.length / pieces;
  return list.slice(index * length, (index + 1) * length);
}

/** Rows of a matrix in `layout`: the same on every rank. */
export function layoutRows(layout: TokenLayout, mesh: Mesh): number {
  if (layout.numRows !== undefined) return layout.numRows;
  const cp = layout.cp === "none" ? 1 : layout.ulyssesSplit ? mesh.cp : axisSize(mesh, "cpRing");
  return (layout.batch * layout.seqLen) / (cp * (layout.tpSplit ? mesh.tp : 1));
}

/** Whether a query at position `query` sees a key at position `key`. */
export function attends(geometry: AttentionGeometry, query: number, key: number): boolean {
  if (geometry.causal && key > query) return false;
  return geometry.window === 0 || Math.abs(query - key) < geometry.window;
}

/** Query-key pairs computed per sequence and head by the ring coordinate in the geometry's step. O(1). */
export function attentionPairs(geometry: AttentionGeometry, mesh: Mesh, ringCoordinate: number): number {
  assert(!geometry.layout.tpSplit, "attention reads rows that are not split over tp");
  assert(!geometry.layout.ulyssesSplit || mesh.ulysses === 1, "attention runs after the Ulysses exchange");
  const ringSize = axisSize(mesh, "cpRing");
  const source = (((ringCoordinate - geometry.step) % ringSize) + ringSize) % ringSize;
  const { causal, window } = geometry;
  let pairs = 0;
  for (const queries of ringIntervals(geometry.layout, mesh, ringCoordinate)) {
    for (const keys of ringIntervals(geometry.kvLayout ?? geometry.layout, mesh, source)) {
      // Visible are the pairs with lowest <= query - key < highest.
      const lowest = causal ? 0 : window > 0 ? 1 - window : Number.NEGATIVE_INFINITY;
      const highest = window > 0 ? window : Number.POSITIVE_INFINITY;
      pairs += pairsFrom(queries, keys, lowest) - pairsFrom(queries, keys, highest);
    }
  }
  return pairs;
}

/** The most pairs any ring coordinate computes in this step: what a lock-step ring waits for. O(ring size). */
export function worstAttentionPairs(geometry: AttentionGeometry, mesh: Mesh): number {
  let worst = 0;
  const ringSize = axisSize(mesh, "cpRing");
  for (let ring = 0; ring < ringSize; ring++) worst = Math.max(worst, attentionPairs(geometry, mesh, ring));
  return worst;
}

/**
 * Pairs with query - key >= least. For one query that is clamp(query - least - keys.from + 1, 0, number of keys), and
 * clamp(x, 0, n) = max(x, 0) - max(x - n, 0), whose sums over consecutive x are triangular numbers.
 */
function pairsFrom(queries: Interval, keys: Interval, least: number): number {
  const numKeys = keys.to - keys.from;
  if (least === Number.NEGATIVE_INFINITY) return (queries.to - queries.from) * numKeys;
  if (least === Number.POSITIVE_INFINITY) return 0;
  const shift = 1 - least - keys.from;
  const upTo = (query: number) => triangle(query + shift) - triangle(query + shift - numKeys);
  return upTo(queries.to - 1) - upTo(queries.from - 1);
}

/** Sum of max(i, 0) over all integers i <= n. */
function triangle(n: number): number {
  return n > 0 ? (n * (n + 1)) / 2 : 0;
}
