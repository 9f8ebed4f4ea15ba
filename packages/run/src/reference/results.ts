// Global tensors put together from what the ranks hold; copies on several ranks must agree.

import { assert, type BufferId, paramName } from "@meshwright/core";
import type { Run } from "./frame.ts";
import { Assembly, globalSize, shardOffset, sliceIndices } from "./slices.ts";
import type { Place } from "./store.ts";

export interface Holder {
  readonly rank: number;
  readonly place: Place;
}

/** What the optimizer reads, by parameter name. */
export function collectGradients(run: Run, holders: readonly Holder[]): Map<string, Float64Array> {
  return assemble(run, holders, ({ place }) => {
    const copiedFrom = new Map<BufferId, BufferId>();
    for (const op of place.block.update) if (op.kind === "copy") copiedFrom.set(op.out, op.x);
    return place.block.update.flatMap((op) =>
      op.kind === "optimizer" ? op.grads.map((id) => copiedFrom.get(id) ?? id) : [],
    );
  });
}

/** Whole and sharded parameter copies. */
export function collectParameters(run: Run, holders: readonly Holder[]): Map<string, Float64Array> {
  return assemble(run, holders, ({ place }) =>
    [...place.block.buffers.keys()].filter((id) => {
      const decl = place.block.buffers[id]!;
      return decl.kind === "parameter" && decl.scope === "persistent" && decl.view === undefined;
    }),
  );
}

function assemble(
  run: Run,
  holders: readonly Holder[],
  buffersOf: (holder: Holder) => readonly BufferId[],
): Map<string, Float64Array> {
  const assemblies = new Map<string, Assembly>();
  for (const holder of holders) {
    const { rank, place } = holder;
    for (const id of buffersOf(holder)) {
      const slice = place.block.buffers[id]!.param;
      assert(slice !== undefined, `${place.block.buffers[id]!.name} names its parameter`);
      const name = paramName(slice.name, place.label);
      const assembly = assemblies.get(name) ?? new Assembly(name, globalSize(slice));
      assemblies.set(name, assembly);
      const indices = sliceIndices(slice, run.mesh, rank);
      const m = run.stores[rank]!.get(place, id);
      const length = m.rows * m.cols;
      const from = shardOffset(slice, run.mesh, rank, length, indices.length);
      for (let e = 0; e < length && from + e < indices.length; e++)
        assembly.put(indices[from + e]!, m.data[m.offset + e]!, rank);
    }
  }
  return new Map([...assemblies].map(([name, assembly]) => [name, assembly.finish()]));
}
