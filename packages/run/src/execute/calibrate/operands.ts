// Operands of measured kernels, as near to the core as in a training step: `fresh` ones were written by the op before and are found in its caches (arenas hand out the
// memory that was freed last, so results lie there too); `stored` ones (parameters, their gradients, optimizer state) were last touched a pass ago. Stored
// operands come in several sets that are taken in turn.

import type { Mat } from "../../reference/kernels/mat.ts";
import type { ArenaMats } from "../memory/index.ts";

export type Shape = readonly [rows: number, cols: number];

/** What the sets of one kernel hold together: beyond the private caches of a core, as the parameters of a model are. */
const storedBytes = 8 * 2 ** 20;
const mostSets = 64;

/** Runs `use` with sets of matrices, the fresh ones (the same in each) before the stored ones, and frees them. Values are small and positive. */
export function withOperands<T>(
  mats: ArenaMats,
  shapes: { readonly fresh?: readonly Shape[]; readonly stored?: readonly Shape[] },
  use: (sets: readonly (readonly Mat[])[]) => T,
): T {
  const { fresh = [], stored = [] } = shapes;
  const setBytes = stored.reduce((sum, [rows, cols]) => sum + 4 * rows * cols, 0);
  const numSets = setBytes === 0 ? 1 : Math.max(1, Math.min(mostSets, Math.ceil(storedBytes / setBytes)));
  const made: Mat[] = [];
  const make = ([rows, cols]: Shape) => {
    const m = mats.allocate(rows, cols, 0);
    for (let i = 0; i < rows * cols; i++) m.data[m.offset + i] = (1 + ((i * 37) % 101)) / 101;
    made.push(m);
    return m;
  };
  const shared = fresh.map(make);
  const sets = Array.from({ length: numSets }, () => [...shared, ...stored.map(make)]);
  try {
    return use(sets);
  } finally {
    for (const m of made) mats.release(m);
  }
}
