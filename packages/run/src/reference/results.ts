// What ranks hold of global tensors: pieces, each a whole slice of a parameter or a shard of one, and global tensors put together from them. Copies on
// several ranks must agree.

import { assert, type BufferId, type Mesh, type ParamSlice, parameterUpdates, paramName } from "@meshwright/core";
import { type EngineParts, placesOf } from "./engineParts.ts";
import { flatten, type Mat } from "./kernels/mat.ts";
import { Assembly, globalSize, shardOffset, sliceIndices } from "./slices.ts";
import type { Place } from "./store.ts";

export interface TensorPiece {
  readonly rank: number;
  /** Global name of the parameter. */
  readonly name: string;
  readonly slice: ParamSlice;
  /** Elements of the slice, or of a shard of it. */
  readonly values: Float64Array | Float32Array;
}

/** What the optimizer reads, of the ranks that run here. */
export function gradientPieces(parts: EngineParts): TensorPiece[] {
  return pieces(parts, ({ block }) => parameterUpdates(block).map(({ grad }) => grad));
}

/** Whole and sharded parameter copies of the ranks that run here. */
export function parameterPieces(parts: EngineParts): TensorPiece[] {
  return pieces(parts, ({ block }) =>
    [...block.buffers.keys()].filter((id) => {
      const decl = block.buffers[id]!;
      return decl.kind === "parameter" && decl.scope === "persistent" && decl.view === undefined;
    }),
  );
}

function pieces(parts: EngineParts, buffersOf: (place: Place) => readonly BufferId[]): TensorPiece[] {
  return placesOf(parts).flatMap(({ rank, places }) =>
    places.flatMap((place) =>
      buffersOf(place).map((id) => {
        const decl = place.block.buffers[id]!;
        assert(decl.param !== undefined, `${decl.name} names its parameter`);
        const m: Mat = parts.state.stores[rank]!.get(place, id);
        return { rank, name: paramName(decl.param.name, place.label), slice: decl.param, values: flatten(m) };
      }),
    ),
  );
}

/** Global tensors by name. @param tolerance how far copies may differ, relative to their size. */
export function assembled(mesh: Mesh, all: readonly TensorPiece[], tolerance: number): Map<string, Float64Array> {
  const assemblies = new Map<string, Assembly>();
  for (const { rank, name, slice, values } of all) {
    const assembly = assemblies.get(name) ?? new Assembly(name, globalSize(slice), tolerance);
    assemblies.set(name, assembly);
    const indices = sliceIndices(slice, mesh, rank);
    const from = shardOffset(slice, mesh, rank, values.length, indices.length);
    for (let e = 0; e < values.length && from + e < indices.length; e++)
      assembly.put(indices[from + e]!, values[e]!, rank);
  }
  return new Map([...assemblies].map(([name, assembly]) => [name, assembly.finish()]));
}
