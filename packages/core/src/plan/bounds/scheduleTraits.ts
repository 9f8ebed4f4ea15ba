// What the floors may take for granted of every strategy of a job, whatever schedule and head it chooses.

import { schedules } from "../space/choices.ts";
import type { PlanJob } from "../space/types.ts";

export interface ScheduleTraits {
  /** Every schedule goes round the ranks in order: the last of them starts and ends with the pipeline. */
  readonly onlyLoops: boolean;
  /** Some schedule pairs a forward with a backward, and they hide each other's communication. */
  readonly mayPair: boolean;
  /** The head may be spread over the ranks. */
  readonly maySpreadHead: boolean;
}

const loopSchedules: readonly string[] = ["gpipe", "1f1b", "interleaved", "breadth-first"];

export function scheduleTraits(job: PlanJob): ScheduleTraits {
  const names = schedules(job);
  const { fix, open } = job.limits;
  return {
    onlyLoops: names.every((name) => loopSchedules.includes(name)),
    mayPair: names.some((name) => name.startsWith("dualpipe")),
    maySpreadHead: fix.has("vocab_over_stages") || open.has("vocab_over_stages"),
  };
}
