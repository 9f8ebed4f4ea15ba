// What a rank keeps between steps, by name: parameters, master copies and optimizer state, each a whole slice of a global tensor or a shard of one.
// Checkpoints read and write these views.

import {
  assert,
  type BufferId,
  type DType,
  type Mesh,
  type ParamSlice,
  parameterUpdates,
  paramName,
} from "@meshwright/core";
import { type EngineParts, placesOf } from "../../reference/engineParts.ts";
import { shardOffset, sliceIndices } from "../../reference/slices.ts";
import { elementsIn } from "./elements.ts";

/** parameter: what forward reads. master: what the optimizer updates. state0, state1: moments, in the optimizer's order, or those of a matrix's rows and columns. */
export type ShardRole = "parameter" | "master" | `state${number}`;

export interface NamedShard {
  /** Global name of the parameter: `layers.3.attention.qkv`. */
  readonly name: string;
  readonly role: ShardRole;
  readonly dtype: DType;
  readonly slice: ParamSlice;
  /** Where in the rank's slice (row-major) the view starts; it may reach beyond its end by padding. */
  readonly offset: number;
  /** Elements of the whole slice on this rank. */
  readonly sliceLength: number;
  /** A view of the rank's memory, valid as long as the engine. */
  readonly values: Float32Array;
}

/** Index in the global tensor of each element of a shard, row-major; padding is left out, so it may be shorter than `values`. */
export function globalIndices(shard: NamedShard, mesh: Mesh, rank: number): Int32Array {
  const indices = sliceIndices(shard.slice, mesh, rank);
  return indices.subarray(shard.offset, Math.min(indices.length, shard.offset + shard.values.length));
}

export function namedShards(parts: EngineParts): NamedShard[] {
  const shards: NamedShard[] = [];
  for (const { rank, places } of placesOf(parts)) {
    for (const place of places) {
      const { buffers } = place.block;
      const add = (id: BufferId, role: ShardRole, slice: ParamSlice | undefined): void => {
        const decl = buffers[id]!;
        if (decl.shared === true || slice === undefined) return;
        const values = elementsIn(parts.state.stores[rank]!.get(place, id));
        const sliceLength = sliceIndices(slice, parts.program.mesh, rank).length;
        const offset = shardOffset(slice, parts.program.mesh, rank, values.length, sliceLength);
        shards.push({
          name: paramName(slice.name, place.label),
          role,
          dtype: decl.dtype,
          slice,
          offset,
          sliceLength,
          values,
        });
      };
      for (const { master, states } of parameterUpdates(place.block)) {
        const slice = buffers[master]!.param;
        assert(slice !== undefined, `${buffers[master]!.name} names its parameter`);
        if (buffers[master]!.kind !== "parameter") add(master, "master", slice);
        for (const [n, state] of states.entries()) add(state, `state${n}`, buffers[state]!.param);
      }
      for (const [id, decl] of buffers.entries())
        if (decl.kind === "parameter" && decl.scope === "persistent" && decl.view === undefined)
          add(id, "parameter", decl.param);
    }
  }
  return shards;
}

/** What the optimizer reads. */
export function gradientViews(parts: EngineParts): Float32Array[] {
  return placesOf(parts).flatMap(({ rank, places }) =>
    places.flatMap((place) =>
      parameterUpdates(place.block).map(({ grad }) => elementsIn(parts.state.stores[rank]!.get(place, grad))),
    ),
  );
}
