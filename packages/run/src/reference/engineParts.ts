// What the engine works on: the ranks of each pipeline rank (its lanes), the chunks it holds, and for each block its ops by action with the lives of its
// buffers.

import {
  actionOps,
  assert,
  axisSize,
  type Block,
  type BlockAction,
  type BlockLives,
  type BufferId,
  blockLives,
  coordinatesOf,
  meshSize,
  type Op,
  type Program,
} from "@meshwright/core";
import type { Frame, Run } from "./frame.ts";
import { actionsUsingGathered } from "./gathering.ts";
import { type Frees, runOps, standaloneFrees } from "./runOps.ts";
import type { Place } from "./store.ts";

export interface Chunk {
  readonly stage: number;
  /** One place per block use, micro-batch filled in when it runs. */
  readonly places: readonly Place[];
}

export interface BlockPlan {
  readonly ops: Record<BlockAction, readonly Op[]>;
  readonly lives: BlockLives;
  readonly frees: Frees;
  readonly usesGathered: Record<BlockAction, boolean>;
}

/** What an action does to a block: with a reduction at its end where gradients are reduced in other places than after the last micro-batch. */
export interface BlockPlans {
  /** Backward without the reduction: the gradients of a run go on adding up. */
  readonly plain: BlockPlan;
  readonly reducing: BlockPlan;
  /** Whole gradients of a run of micro-batches. */
  readonly runBuffers: readonly BufferId[];
}

/** A program laid out on its ranks, with the state of the step that runs. */
export interface EngineParts {
  readonly program: Program;
  readonly state: Run;
  /** By pipeline rank: the ranks that run in this process. */
  readonly lanes: readonly (readonly number[])[];
  /** The same with ranks elsewhere. */
  readonly allLanes: readonly (readonly number[])[];
  readonly chunks: readonly (readonly Chunk[])[];
}

/** @param runsHere whether a rank runs in this process. */
export function engineParts(program: Program, state: Run, runsHere: (rank: number) => boolean): EngineParts {
  const { mesh, schedule, stages, blocks } = program;
  const allLanes = Array.from({ length: mesh.pp }, (_, p) => lanesOf(program, p));
  return {
    program,
    state,
    lanes: allLanes.map((ranks) => ranks.filter(runsHere)),
    allLanes,
    chunks: schedule.stageOf.map((chunks) =>
      chunks.map((stage, chunk) => ({
        stage,
        places: stages[stage]!.uses.map((use, i) => ({
          block: blocks[use.block]!,
          label: use.label,
          key: `${chunk}.${i}`,
          microBatch: -1,
        })),
      })),
    ),
  };
}

export function frameAt(parts: EngineParts, p: number, place: Place): Frame {
  return { run: parts.state, ranks: parts.lanes[p]!, place, lastRouting: null };
}

/** The block uses of each rank that runs here. */
export function placesOf(parts: EngineParts): { readonly rank: number; readonly places: readonly Place[] }[] {
  return parts.chunks.flatMap((chunks, p) =>
    parts.lanes[p]!.map((rank) => ({ rank, places: chunks.flatMap((chunk) => chunk.places) })),
  );
}

/** Every block use of every pipeline rank that runs here. */
export function eachPlace(parts: EngineParts, visit: (frame: Frame, block: Block) => void): void {
  for (const [p, chunks] of parts.chunks.entries()) {
    if (parts.lanes[p]!.length === 0) continue;
    for (const chunk of chunks) for (const place of chunk.places) visit(frameAt(parts, p, place), place.block);
  }
}

/** Ops outside the actions: nothing lives longer than they need it. */
export function runPhase(frame: Frame, ops: readonly Op[]): void {
  runOps(frame, ops, standaloneFrees(frame.place.block, ops), 0, () => {});
}

/** Ranks of a pipeline rank, tp fastest, then cp, then dp: the same lane on every pipeline rank talks to each other. */
function lanesOf(program: Program, p: number): number[] {
  const { mesh } = program;
  const lane = (rank: number) => {
    const at = coordinatesOf(mesh, rank);
    return at.tp + mesh.tp * (at.cp + mesh.cp * at.dp);
  };
  const ranks = Array.from({ length: meshSize(mesh) }, (_, rank) => rank).filter(
    (rank) => coordinatesOf(mesh, rank).pp === p,
  );
  assert(ranks.length === axisSize(mesh, "tp") * axisSize(mesh, "dpcp"), `pipeline rank ${p} has all lanes`);
  return ranks.sort((a, b) => lane(a) - lane(b));
}

export function planBlocks(block: Block, splitBackward: boolean): BlockPlans {
  return {
    plain: planBlock(block, splitBackward, false),
    reducing: planBlock(block, splitBackward, true),
    runBuffers: block.buffers.flatMap(({ scope, view }, id) => (scope === "run" && view === undefined ? [id] : [])),
  };
}

function planBlock(block: Block, splitBackward: boolean, reduceEach: boolean): BlockPlan {
  const ops = actionOps(block, splitBackward, reduceEach);
  const lives = blockLives(block, splitBackward, reduceEach);
  const frees = new Map<number, BufferId[]>();
  for (const life of lives.lives) frees.set(life.end, [...(frees.get(life.end) ?? []), life.buffer]);
  return { ops, lives, frees, usesGathered: actionsUsingGathered(block, splitBackward) };
}
