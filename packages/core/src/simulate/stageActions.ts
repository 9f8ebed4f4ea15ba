// Level-1 costs of every (stage, action, variant) of a program, each worked out once.
//
// A stage runs the same action hundreds of times; only the last backward of a step (gradients leaving) differs. Stages with equal block
// lists share their costs.

import type { Program } from "../parallel/program.ts";
import type { BlockPrices } from "./streams/blockPrices.ts";
import type { ActionOps, ActionRequest } from "./streams/buildAction.ts";
import { type ActionCost, type ActionOptions, simulateAction } from "./streams/simulateAction.ts";

/** once: a backward with which gradients are reduced where others only add to them: the last of a chunk in a step, or of a run of micro-batches. */
export type Variant = "plain" | "once";

export interface StageActions {
  readonly cost: (stage: number, kind: ActionOps, variant: Variant) => ActionCost;
  readonly request: (stage: number, kind: ActionOps, variant: Variant) => ActionRequest;
  /** Whether such backwards differ from the others at all. */
  readonly onceDiffers: boolean;
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
      gather: gathers(program, kind),
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
    onceDiffers:
      (program.reducePolicy === "everyRun" || (program.reducePolicy === "lastMicroBatch" && program.overlapReduce)) &&
      program.blocks.some((block) => block.reduce.length > 0),
  };
}

function gathers(program: Program, kind: ActionOps): boolean {
  switch (program.gatherPolicy) {
    case "never":
      return false;
    case "afterUpdate":
      // Once a step, over all chunks of a rank: gatherStream.ts.
      return false;
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
  return variant === "once" && (program.overlapReduce || program.reducePolicy === "everyRun");
}
