// Whether any strategy of a space fits: the same tree, left at the first strategy that is simulated and fits. When none does, every one was proven too large.

import { stepTime } from "../objectives/objective.ts";
import { listCores } from "../space/enumerate.ts";
import type { PlanJob } from "../space/types.ts";
import { searchStart } from "./coreOrder.ts";
import { makeEvaluate } from "./evaluate.ts";
import { sharedSchedules } from "./schedules.ts";
import { type Found, searchCore } from "./searchCore.ts";

/** A strategy that fits, or null. */
export function anyFits(job: PlanJob): Found | null {
  const scheduleOf = sharedSchedules();
  const evaluate = makeEvaluate(job, scheduleOf);
  let fitting: Found | null = null;
  for (const { core, floor } of searchStart(job, stepTime, listCores(job)).cores) {
    searchCore({
      job,
      core,
      floor,
      objective: stepTime,
      evaluate,
      scheduleOf,
      incumbents: {
        threshold: () => fitting?.value ?? Number.POSITIVE_INFINITY,
        offer: (found) => {
          fitting ??= found;
        },
      },
      stopped: () => fitting !== null,
    });
    if (fitting !== null) return fitting;
  }
  return null;
}
