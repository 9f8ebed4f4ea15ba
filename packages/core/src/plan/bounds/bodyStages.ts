// What the floors of a body's time and of its memory start from: its stages, and the blocks that stand in them. With a partial keep the first layers of
// each chunk recompute and the rest do not, so a stage may hold blocks of two kinds.

import { scheduleFamily } from "../../parallel/schedules/index.ts";
import { plainKeep } from "../space/choices.ts";
import type { Keep, Manner, Placement } from "../space/types.ts";
import type { BodyAt, CoreTables } from "./coreTables.ts";
import { borderOf, type StageCut } from "./pipelineBound.ts";
import type { SimulatedBody } from "./simulatedStages.ts";
import type { StageFloors } from "./stageFloors.ts";

export interface BodyStages {
  readonly cut: StageCut;
  readonly floors: StageFloors;
  /** Of the layers of a partial keep that do not recompute; null where all layers are alike. */
  readonly rest: StageFloors | null;
  /** Layers of each chunk that recompute, of a partial keep. */
  readonly numRecomputed: number;
}

export function bodyStages(tables: CoreTables, { placement, manner, keep, body }: BodyAt): BodyStages {
  const floors = tables.floorsFor(placement, manner, keep);
  const rest = keep.partial ? tables.floorsFor(placement, manner, restOf(keep)) : null;
  return { cut: tables.cutFor(placement.pp, body, floors), floors, rest, numRecomputed: body.numRecomputed };
}

/** Floors of a layer that hold for all of a keep: of a partial one some layers recompute nothing. */
export function leastFloors(tables: CoreTables, placement: Placement, manner: Manner, keep: Keep): StageFloors {
  return tables.floorsFor(placement, manner, keep.partial ? restOf(keep) : keep);
}

/** The stages as their simulation takes them. */
export function simulatedBody(
  tables: CoreTables,
  cut: StageCut,
  { placement, manner, keep, body }: BodyAt,
): SimulatedBody {
  const floors = tables.floorsFor(placement, manner, keep);
  return {
    cut,
    split: scheduleFamily(body.schedule).splitBackward,
    borders: cut.rankAt.map((_, s) =>
      keep.partial ? borderOf(cut, floors, s, body.numRecomputed) : cut.starts[s + 1]!,
    ),
  };
}

/** Lists of a tree keep their objects, but a node or a leaf that holds them is another object each time. */
export function sameBody(a: BodyAt, b: BodyAt): boolean {
  return a.placement === b.placement && a.manner === b.manner && a.keep === b.keep && a.body === b.body;
}

/** What the layers of a partial keep that do not recompute look like. */
function restOf(keep: Keep): Keep {
  return keep.offloadActivations ? offloadedKeep : plainKeep;
}

const offloadedKeep: Keep = { ...plainKeep, offloadActivations: true };
