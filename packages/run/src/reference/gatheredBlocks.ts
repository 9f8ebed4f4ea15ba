// Parameters gathered from shards around the actions that use them (ZeRO-3): ahead of use by as many blocks as the program says, freed after the action
// that was the last to need them.

import type { Block, BlockAction } from "@meshwright/core";
import { type EngineParts, frameAt } from "./engineParts.ts";
import { gatheredIds } from "./gathering.ts";
import { runOps } from "./runOps.ts";
import type { Place } from "./store.ts";

export class GatheredBlocks {
  private readonly parts: EngineParts;
  private readonly usesGathered: (block: Block) => Record<BlockAction, boolean>;
  /** Micro-batches in flight that keep a block use gathered. */
  private readonly holds = new Map<string, number>();

  constructor(parts: EngineParts, usesGathered: (block: Block) => Record<BlockAction, boolean>) {
    this.parts = parts;
    this.usesGathered = usesGathered;
  }

  /** Gathers what the use needs, and `prefetchBlocks` uses ahead in this action. */
  gatherAhead(p: number, places: readonly Place[], use: number, step: 1 | -1, kind: BlockAction): void {
    const { gatherPolicy, prefetchBlocks } = this.parts.program;
    if (gatherPolicy !== "perForward" && gatherPolicy !== "perPhase") return;
    for (let ahead = 0; ahead <= prefetchBlocks; ahead++) {
      const place = places[use + step * ahead];
      if (place === undefined || !this.usesGathered(place.block)[kind]) continue;
      const key = `${p} ${place.key}`;
      // Kept per micro-batch in flight: the forward action takes a hold, the last backward action gives it up.
      const holds = this.holds.get(key) ?? 0;
      if (gatherPolicy === "perForward" && ahead === 0 && kind === "F") this.holds.set(key, holds + 1);
      const frame = frameAt(this.parts, p, place);
      const ids = gatheredIds(place.block);
      if (ids.length === 0 || this.parts.state.stores[frame.ranks[0]!]!.isLive(place, ids[0]!)) continue;
      runOps(frame, place.block.gather, new Map(), 0, () => {});
    }
  }

  /** Frees what an action was the last to need. */
  release(p: number, place: Place, kind: BlockAction, splitBackward: boolean): void {
    const { gatherPolicy } = this.parts.program;
    if (gatherPolicy === "perForward") {
      if (kind !== (splitBackward ? "W" : "B")) return;
      const key = `${p} ${place.key}`;
      const holds = (this.holds.get(key) ?? 0) - 1;
      this.holds.set(key, holds);
      if (holds > 0) return;
    } else if (gatherPolicy !== "perPhase") return;
    this.free(p, place);
  }

  /** Frees a block use's parameters after a forward action whose backward never comes. */
  drop(p: number, place: Place): void {
    this.holds.delete(`${p} ${place.key}`);
    this.free(p, place);
  }

  private free(p: number, place: Place): void {
    for (const rank of this.parts.lanes[p]!) {
      const store = this.parts.state.stores[rank]!;
      for (const id of gatheredIds(place.block)) if (store.isLive(place, id)) store.free(place, id);
    }
  }
}
