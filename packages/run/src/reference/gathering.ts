// Parameters that are gathered from shards for use (ZeRO-3): which buffers, and which actions need them.

import {
  actionOps,
  type Block,
  type BlockAction,
  type BufferId,
  baseOf,
  bufferBytes,
  opAccess,
} from "@meshwright/core";

export function gatheredIds(block: Block): BufferId[] {
  return [...block.buffers.keys()].filter(
    (id) => block.buffers[id]!.scope === "gathered" && block.buffers[id]!.view === undefined,
  );
}

export function gatheredBytes(block: Block): number {
  return gatheredIds(block).reduce((sum, id) => sum + bufferBytes(block.buffers[id]!), 0);
}

/** Actions whose ops read gathered parameters. */
export function actionsUsingGathered(block: Block, splitBackward: boolean): Record<BlockAction, boolean> {
  const gathered = new Set(gatheredIds(block));
  const ops = actionOps(block, splitBackward);
  const uses = (kind: BlockAction) =>
    ops[kind].some((op) => opAccess(op).reads.some((id) => gathered.has(baseOf(block, id))));
  return { F: uses("F"), B: uses("B"), W: uses("W") };
}
