// What an ending (sharding, its group, overlap of data-parallel collectives) adds to the seconds of stages and to the end of a rank.

import type { Ending } from "../space/types.ts";
import type { EndingFloors } from "./endingFloors.ts";
import { exchangedSec, type StageWork } from "./exchangeFloors.ts";
import { rankSum, type StageCut, type StageTimes } from "./pipelineBound.ts";
import type { TimedPipeline } from "./timedPipeline.ts";

/** What of an ending the actions feel: every micro-batch's, or a chunk's last backward with its reductions. */
export function exchangeKey(ending: Ending): string {
  const { sharding, shardGroup, reshardAfterForward, overlapGradReduce, overlapParamGather } = ending;
  if (sharding !== "zero3") return `${sharding}${shardGroup}${overlapGradReduce}`;
  return `${sharding}${shardGroup}${reshardAfterForward}${overlapGradReduce}${overlapParamGather}`;
}

/** End of a rank in the simulated pipeline with its last reductions: one after another, each no sooner than its chunk's last gradients begin. */
export function timedEnd(
  cut: StageCut,
  timed: TimedPipeline,
  floors: EndingFloors,
  at: { readonly rank: number; readonly pp: number; readonly ending: Ending; readonly each: boolean },
): number {
  const { rank, pp, ending, each } = at;
  const end = Math.max(timed.endSec[rank]!, timed.reducedSec?.[rank] ?? 0);
  if (cut.rankAt[0]! < 0) return end;
  if (!ending.overlapGradReduce) return each ? end : end + rankSum(cut, floors.reduceSec, rank, pp);
  let free = 0;
  for (let chunk = timed.numChunks - 1; chunk >= 0; chunk--) {
    const s = chunk * pp + rank;
    const reduce = floors.reduceSec[cut.starts[s + 1]!]! - floors.reduceSec[cut.starts[s]!]!;
    free = Math.max(free, timed.lastStartSec[rank * timed.numChunks + chunk]!) + reduce;
  }
  return Math.max(end, free);
}

/** Ending that keeps fewest bytes on the device: the largest group, optimizer state in host memory where that is allowed. */
export function leastHeld(endings: readonly Ending[]): Ending | undefined {
  let least = endings[0];
  for (const each of endings) {
    if (least === undefined) break;
    const better =
      Number(each.offloadOptimizer) - Number(least.offloadOptimizer) ||
      Number(each.sharding !== "none") - Number(least.sharding !== "none") ||
      each.shardGroup - least.shardGroup ||
      Number(each.reshardAfterForward) - Number(least.reshardAfterForward);
    if (better > 0) least = each;
  }
  return least;
}

/**
 * Stages with the parameters gathered and the gradients reduced for every micro-batch. An exchange that blocks adds to the chains alone, not to simulated
 * seconds: what those hold of the host's time may hide behind it.
 */
export function withExchange(
  cut: StageCut,
  times: StageTimes,
  at: {
    readonly floors: EndingFloors;
    readonly ending: Ending;
    readonly alone: StageTimes;
    /** Compute of the stages; null where communication hides behind other micro-batches. */
    readonly work: StageWork | null;
    readonly split: boolean;
  },
): StageTimes {
  const { floors, ending, alone, work, split } = at;
  const forwardSec = times.forwardSec.slice();
  const backwardSec = times.backwardSec.slice();
  for (let s = 0; s < forwardSec.length; s++) {
    // Equal stages take equal seconds, however those were found.
    const same = cut.sameAs[s]!;
    if (
      same < s &&
      times.forwardSec[same] === times.forwardSec[s] &&
      times.backwardSec[same] === times.backwardSec[s]
    ) {
      forwardSec[s] = forwardSec[same]!;
      backwardSec[s] = backwardSec[same]!;
      continue;
    }
    const from = cut.starts[s]!;
    const to = cut.starts[s + 1]!;
    const gather = ending.sharding === "zero3" ? floors.gatherSec[to]! - floors.gatherSec[from]! : 0;
    const reduce = floors.reduceSec[to]! - floors.reduceSec[from]!;
    const backGather = ending.reshardAfterForward ? gather : 0;
    const blocks = !ending.overlapParamGather;
    forwardSec[s] = Math.max(forwardSec[s]!, gather + (blocks ? alone.forwardSec[s]! : 0));
    backwardSec[s] = Math.max(
      backwardSec[s]!,
      backGather,
      alone.backwardSec[s]! + (blocks ? backGather : 0) + (ending.overlapGradReduce ? 0 : reduce),
    );
    if (work === null || to <= from) continue;
    const beside = exchangedSec({ index: s, from, to }, work, { floors, ending, split });
    if (beside.forwardSec > forwardSec[s]!) forwardSec[s] = beside.forwardSec;
    if (beside.backwardSec > backwardSec[s]!) backwardSec[s] = beside.backwardSec;
  }
  return { ...times, forwardSec, backwardSec };
}
