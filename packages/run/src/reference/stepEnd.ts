// What follows the last action of a step: replicas of bidirectional schedules and copies of the token table add up their gradients, and the norm of all
// gradients is summed over the ranks.

import { assert, tableRanks } from "@meshwright/core";
import { type EngineParts, eachPlace, runPhase } from "./engineParts.ts";
import type { Frame } from "./frame.ts";
import { at, set } from "./kernels/mat.ts";
import { updatePhases } from "./opPlans.ts";
import type { Place } from "./store.ts";

/** Chunks of different replicas that hold the same stage add up their persistent gradients. */
export function addReplicas(parts: EngineParts): void {
  const { schedule, stages } = parts.program;
  if (schedule.replicas === 1) return;
  for (let stage = 0; stage < stages.length; stage++) {
    const copies = parts.chunks.flatMap((chunks, p) =>
      chunks.filter((chunk) => chunk.stage === stage).map((chunk) => ({ p, chunk })),
    );
    for (let use = 0; use < stages[stage]!.uses.length; use++) {
      const { block } = copies[0]!.chunk.places[use]!;
      for (const [id, decl] of block.buffers.entries()) {
        if (
          decl.kind !== "gradient" ||
          decl.scope !== "persistent" ||
          decl.view !== undefined ||
          decl.shared === true ||
          decl.tier !== "hbm"
        )
          continue;
        for (let lane = 0; lane < parts.allLanes[0]!.length; lane++) {
          const holders = copies.map(({ p, chunk }) => ({
            rank: parts.allLanes[p]![lane]!,
            place: chunk.places[use]!,
          }));
          parts.state.exchanges.sumCopies(parts.state, holders, id);
        }
      }
    }
  }
}

/** Token tables that several pipeline ranks hold add up their gradients. */
export function syncEmbedding(parts: EngineParts): void {
  const { embeddingSync, mesh } = parts.program;
  if (embeddingSync === null) return;
  const place: Place = { block: embeddingSync, label: "embedding", key: "sync", microBatch: -1 };
  const ranks = tableRanks(mesh).flatMap((p) => parts.lanes[p]!);
  if (ranks.length === 0) return;
  for (const rank of ranks) {
    for (const [id, decl] of embeddingSync.buffers.entries())
      if (decl.shared === true) parts.state.stores[rank]!.addShared(place, id);
  }
  const frame: Frame = { run: parts.state, ranks, place, lastRouting: null };
  runPhase(frame, embeddingSync.reduce);
}

/** Sum of squares of all gradients, on every rank: each adds up its block uses, then the tail adds up the ranks. */
export function gradientNorm(parts: EngineParts): number {
  eachPlace(parts, (frame, block) => runPhase(frame, updatePhases(block).gradNorm));
  const { tail } = parts.program;
  const partial = (rank: number, p: number): number => {
    let sum = 0;
    for (const chunk of parts.chunks[p]!) {
      for (const place of chunk.places) {
        const id = place.block.buffers.findIndex((decl) => decl.name === "gradNorm");
        if (id >= 0) sum += at(parts.state.stores[rank]!.get(place, id), 0, 0);
      }
    }
    return sum;
  };
  const [first] = parts.lanes.flatMap((ranks, p) => ranks.map((rank) => ({ rank, p })));
  assert(first !== undefined, "some rank runs here");
  if (tail === null) return partial(first.rank, first.p);
  const place: Place = { block: tail, label: "tail", key: "tail", microBatch: -1 };
  for (const [p, ranks] of parts.lanes.entries()) {
    for (const rank of ranks) set(parts.state.stores[rank]!.persistentOrNew(place, 0), 0, 0, partial(rank, p));
  }
  const ranks = parts.lanes.flat().sort((a, b) => a - b);
  runPhase({ run: parts.state, ranks, place, lastRouting: null }, tail.update);
  return at(parts.state.stores[first.rank]!.get(place, 0), 0, 0);
}

/** The optimizer's step, and what brings it its gradients. */
export function updateParameters(parts: EngineParts): void {
  eachPlace(parts, (frame, block) => runPhase(frame, updatePhases(block).optimizer));
}
