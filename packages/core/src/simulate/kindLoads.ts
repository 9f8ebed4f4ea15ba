// What devices of one kind do in a step: the load that decides their clock, and the energy of the mean one.

import type { PipelineEnd, PipelineRun } from "./pipelineRun.ts";
import type { StepLoad } from "./power.ts";
import type { RankTotals } from "./rankTotals.ts";
import type { RankTail } from "./stepTail.ts";

/** Whether a pipeline rank has devices of a kind. */
function holds(run: PipelineRun, rank: number, group: number): boolean {
  return run.at.sites[rank]!.kinds.some((kind) => kind.group === group);
}

/** What the rank that works most of those on a kind of device does: it decides the kind's clock. */
export function loadOf(runs: readonly PipelineRun[], ends: readonly PipelineEnd[], group: number): StepLoad {
  let busiest: { readonly total: RankTotals; readonly tail: RankTail; readonly busySec: number } | undefined;
  runs.forEach((run, c) => {
    run.timeline.busySec.forEach((busySec, rank) => {
      if (holds(run, rank, group) && (busiest === undefined || busySec > busiest.busySec))
        busiest = { total: ends[c]!.totals[rank]!, tail: ends[c]!.tails[rank]!, busySec };
    });
  });
  const { total, tail } = busiest!; // kinds are listed because a rank lies on them
  const busySec = total.actionSec + tail.reduce.durationSec + tail.update.durationSec + tail.gather.durationSec;
  return { busySec, matrixSec: total.matrixSec + tail.update.matrixSec, joules: total.joules + tailJoules(tail) };
}

function tailJoules(tail: RankTail): number {
  return tail.reduce.joules + tail.update.joules + tail.gather.joules;
}

/** Dynamic energy of one device of a kind at boost clock, averaged over the pipeline ranks on it. */
export function meanJoules(runs: readonly PipelineRun[], ends: readonly PipelineEnd[], group: number): number {
  const ranks = runs.flatMap(({ at }, c) =>
    ends[c]!.totals.flatMap((total, rank) => {
      const numDevices = at.sites[rank]!.kinds.find((kind) => kind.group === group)?.numDevices ?? 0;
      return numDevices === 0 ? [] : [{ joules: total.joules, inTail: tailJoules(ends[c]!.tails[rank]!), numDevices }];
    }),
  );
  // In units of the fewest: exact where all ranks have as many.
  const fewest = Math.min(...ranks.map((rank) => rank.numDevices));
  const weight = ranks.reduce((sum, rank) => sum + rank.numDevices / fewest, 0);
  const joules = ranks.reduce((sum, rank) => {
    const times = rank.numDevices / fewest;
    return sum + rank.joules * times + rank.inTail * times;
  }, 0);
  return joules / weight;
}
