// The rows of one attention call cut by sequence: queries and keys of a sequence follow one another, which is what the fused kernel takes.

import type { AttentionRows } from "../../reference/kernels/attention.ts";

/** Widest value head the fused kernel has room for (assembly/attention.ts). */
const MAX_VALUE_DIM = 512;

export interface SequencePart {
  readonly firstQuery: number;
  readonly firstKey: number;
  readonly queries: Int32Array;
  readonly keys: Int32Array;
}

const known = new WeakMap<Int32Array, WeakMap<Int32Array, readonly SequencePart[] | null>>();

/** Null where sequences do not lie together, or do not fit `room` positions. Remembered by the lists of rows, which a rank makes once. */
export function attentionParts(rows: AttentionRows, room: number): readonly SequencePart[] | null {
  if (rows.geometry.vHeadDim > MAX_VALUE_DIM) return null;
  const { queries, keys } = rows;
  let byKeys = known.get(queries.position);
  if (byKeys === undefined) {
    byKeys = new WeakMap();
    known.set(queries.position, byKeys);
  }
  let parts = byKeys.get(keys.position);
  if (parts === undefined) {
    parts = cut(rows, room);
    byKeys.set(keys.position, parts);
  }
  return parts;
}

function cut({ queries, keys }: AttentionRows, room: number): readonly SequencePart[] | null {
  const ofQueries = runsOf(queries.sequence);
  const ofKeys = runsOf(keys.sequence);
  if (ofQueries === null || ofKeys === null) return null;
  const parts: SequencePart[] = [];
  for (const [sequence, [q0, q1]] of ofQueries) {
    const [k0, k1] = ofKeys.get(sequence) ?? [0, 0];
    if (q1 - q0 + (k1 - k0) > room) return null;
    parts.push({
      firstQuery: q0,
      firstKey: k0,
      queries: queries.position.slice(q0, q1),
      keys: keys.position.slice(k0, k1),
    });
  }
  return parts;
}

/** First and end of each sequence's rows; null where a sequence comes twice. */
function runsOf(sequence: ArrayLike<number>): Map<number, readonly [number, number]> | null {
  const runs = new Map<number, readonly [number, number]>();
  for (let i = 0; i < sequence.length; ) {
    const id = sequence[i]!;
    let end = i + 1;
    while (end < sequence.length && sequence[end] === id) end++;
    if (runs.has(id)) return null;
    runs.set(id, [i, end]);
    i = end;
  }
  return runs;
}
