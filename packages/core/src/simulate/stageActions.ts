// Level-1 costs of every (stage, action, variant) of a program, each worked out once.
//
// A stage runs the same action hundreds of times; only the first forward of a step (parameters still arriving from the update) and the last backward
// (gradients leaving) differ. Stages with equal block lists share their costs.

import type { Program } from "../parallel/program.ts";
import type { BlockPrices } from "./streams/blockPrices.ts";
import type { ActionOps, ActionRequest } from "./streams/buildAction.ts";
import { type ActionCost, type ActionOptions, simulateAction } from "./streams/simulateAction.ts";

/** once: the first forward or the last backward of a chunk in a step. */
export type Variant = "plain" | "once";

export interface StageActions {
  readonly cost: (stage: number, kind: ActionOps, variant: Variant) => ActionCost;
  readonly request: (stage: number, kind: ActionOps, variant: Variant) => ActionRequest;
  /** Whether first forwards / last backwards differ from the others at all. */
  readonly firstDiffers: boolean;
  readonly lastDiffers: boolean;
}

export function stageActions(prices: BlockPrices, options: ActionOptions): StageActions {
  const { program } = prices;
  const keys = program.stages.map((stage) => stage.uses.map((use) => use.block).join(","));
  const known = new Map<string, ActionCost>();
  const request = (stage: number, kind: ActionOps, variant: Variant): ActionRequest => {
    const blocks = program.stages[stage]!.uses.map((use) => use.block);
    return {
      kind,
      blocks: kind === "F" ? blocks : blocks.reverse(),
      gather: gathers(program, kind, variant),
      reduce: reduces(program, kind, variant),
    };
  };
  return {
    request,
    cost: (stage, kind, variant) => {
      const asked = request(stage, kind, variant);
      const key = `${kind}${asked.gather ? 1 : 0}${asked.reduce ? 1 : 0}:${keys[stage]!}`;
      let cost = known.get(key);
      if (cost === undefined) {
        cost = simulateAction(prices, asked, options);
        known.set(key, cost);
      }
      return cost;
    },
    firstDiffers:
      gathers(program, "F", "once") !== gathers(program, "F", "plain") &&
      program.blocks.some((block) => block.gather.length > 0),
    lastDiffers:
      program.reducePolicy === "lastMicroBatch" &&
      program.overlapReduce &&
      program.blocks.some((block) => block.reduce.length > 0),
  };
}

function gathers(program: Program, kind: ActionOps, variant: Variant): boolean {
  switch (program.gatherPolicy) {
    case "never":
      return false;
    case "afterUpdate":
      return kind === "F" && variant === "once" && program.overlapGather;
    case "perForward":
      return kind === "F";
    case "perPhase":
      // Weight gradients alone need no parameters.
      return kind !== "W";
  }
}

function reduces(program: Program, kind: ActionOps, variant: Variant): boolean {
  if (kind === "F" || (kind === "B" && program.schedule.splitBackward)) return false;
  if (program.reducePolicy === "everyMicroBatch") return true;
  return variant === "once" && program.overlapReduce;
}
