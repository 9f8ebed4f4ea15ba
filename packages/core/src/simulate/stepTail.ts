// The end of a step on each pipeline rank, after its last backward: gradients not yet reduced, the tied embedding's sum, gradient norm, optimizer,
// and parameters gathered for the next step where that does not hide behind its forward.

import { tableRanks } from "../parallel/mesh.ts";
import type { Program } from "../parallel/program.ts";
import type { BlockPrices } from "./streams/blockPrices.ts";
import { type BuiltAction, buildPhase, type PhasePart } from "./streams/buildAction.ts";
import { type ActionCost, type ActionOptions, emptyAction, simulateBuilt } from "./streams/simulateAction.ts";

export interface RankTail {
  /** Gradient reductions that waited for the last backward. */
  readonly reduce: ActionCost;
  /** Gradient norm and optimizer. */
  readonly update: ActionCost;
  /** Blocking parameter gathers after the update. */
  readonly gather: ActionCost;
}

export interface StepTails {
  readonly tail: (rank: number) => RankTail;
  readonly parts: (rank: number, phase: keyof RankTail) => BuiltAction | null;
}

export function stepTails(prices: BlockPrices, options: ActionOptions): StepTails {
  const { program } = prices;
  const known = new Map<string, RankTail>();
  const parts = (rank: number, phase: keyof RankTail): BuiltAction | null => {
    const list = phaseParts(program, blocksOfRank(program, rank), holdsTable(program, rank), phase);
    return list.length === 0 ? null : buildPhase(prices, list);
  };
  return {
    parts,
    tail: (rank) => {
      const blocks = blocksOfRank(program, rank);
      const key = `${holdsTable(program, rank)}:${blocks.join(",")}`;
      let tail = known.get(key);
      if (tail === undefined) {
        tail = tailOfBlocks(prices, options, { blocks, holdsTable: holdsTable(program, rank) });
        known.set(key, tail);
      }
      return tail;
    },
  };
}

/** Tail of a rank that holds these blocks. */
export function tailOfBlocks(
  prices: BlockPrices,
  options: ActionOptions,
  rank: { readonly blocks: readonly number[]; readonly holdsTable: boolean },
): RankTail {
  const costOf = (phase: keyof RankTail): ActionCost => {
    const list = phaseParts(prices.program, rank.blocks, rank.holdsTable, phase);
    return list.length === 0 ? emptyAction : simulateBuilt(buildPhase(prices, list), options);
  };
  return { reduce: costOf("reduce"), update: costOf("update"), gather: costOf("gather") };
}

function phaseParts(program: Program, blocks: readonly number[], holds: boolean, phase: keyof RankTail): PhasePart[] {
  switch (phase) {
    case "reduce": {
      const late = program.reducePolicy === "lastMicroBatch" && !program.overlapReduce;
      const list: PhasePart[] = late ? blocks.map((block) => ({ block, list: "reduce" })) : [];
      if (program.embeddingSync !== null && holds) list.push({ block: program.embeddingSync, list: "tail" });
      return list;
    }
    case "update":
      return [
        ...(program.tail === null ? [] : [{ block: program.tail, list: "tail" } as const]),
        ...blocks.map((block) => ({ block, list: "update" }) as const),
      ];
    case "gather":
      return program.gatherPolicy === "afterUpdate" && !program.overlapGather
        ? blocks.map((block) => ({ block, list: "gather" }))
        : [];
  }
}

function blocksOfRank(program: Program, rank: number): number[] {
  return program.schedule.stageOf[rank]!.flatMap((stage) => program.stages[stage]!.uses.map((use) => use.block));
}

function holdsTable(program: Program, rank: number): boolean {
  return tableRanks(program.mesh).includes(rank);
}
