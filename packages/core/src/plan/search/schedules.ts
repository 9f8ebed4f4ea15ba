// Schedules that leaves share, built once each; the dependency graph goes with the schedule (parallel/schedules/dependencies.ts).

import { buildSchedule, type Schedule } from "../../parallel/schedules/index.ts";
import type { ScheduleOf } from "../bounds/timedPipeline.ts";

/** Actions of schedules kept at most: a schedule of 10^5 actions takes a few megabytes with its graph. */
const MAX_KEPT_ACTIONS = 2_000_000;

export function sharedSchedules(): ScheduleOf {
  const schedules = new Map<string, Schedule>();
  let kept = 0;
  return ({ pp, numMicroBatches }, { schedule: name, numChunks }) => {
    const key = `${name}:${pp}:${numMicroBatches}:${numChunks}`;
    let schedule = schedules.get(key);
    if (schedule === undefined) {
      schedule = buildSchedule(name, { numRanks: pp, numMicroBatches, numChunks });
      const actions = schedule.actions.reduce((sum, list) => sum + list.length, 0);
      if (kept + actions > MAX_KEPT_ACTIONS) {
        schedules.clear();
        kept = 0;
      }
      kept += actions;
      schedules.set(key, schedule);
    }
    return schedule;
  };
}
