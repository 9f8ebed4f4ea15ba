// Persistent buffers of a rank before the step: parameters and master copies from their global values, the rest zero.

import { assert, type Mesh, type ParamSlice, paramName } from "@meshwright/core";
import { initialValue, shardOffset, sliceIndices } from "./slices.ts";
import type { Place, RankStore } from "./store.ts";

/** Initial value of element `index` of a global tensor. */
export type InitialValue = (name: string, index: number, slice: ParamSlice) => number;

export function initialiseParameters(
  store: RankStore,
  mesh: Mesh,
  rank: number,
  places: readonly Place[],
  initial: InitialValue = initialValue,
): void {
  // Owners first: shared declarations of other block uses stand for them.
  for (const place of places) {
    const masters = new Set(place.block.update.flatMap((op) => (op.kind === "optimizer" ? op.masters : [])));
    for (const [id, decl] of place.block.buffers.entries()) {
      if (decl.scope !== "persistent" || decl.view !== undefined || decl.shared === true) continue;
      const m = store.addPersistent(place, id);
      if (decl.kind !== "parameter" && !masters.has(id)) continue;
      assert(decl.param !== undefined, `${decl.name} names its parameter`);
      const name = paramName(decl.param.name, place.label);
      const indices = sliceIndices(decl.param, mesh, rank);
      const length = m.rows * m.cols;
      const from = shardOffset(decl.param, mesh, rank, length, indices.length);
      for (let e = 0; e < length && from + e < indices.length; e++)
        m.data[m.offset + e] = initial(name, indices[from + e]!, decl.param);
    }
  }
  for (const place of places) {
    for (const [id, decl] of place.block.buffers.entries()) {
      if (decl.scope === "persistent" && decl.shared === true) store.addShared(place, id);
    }
  }
}
