// Tables that all searches of one job in a thread share, for as long as the job lives.

import type { PlanJob } from "../space/types.ts";

export function ofJob<Made>(all: WeakMap<PlanJob, Map<string, Made>>, job: PlanJob): Map<string, Made> {
  let known = all.get(job);
  if (known === undefined) {
    known = new Map();
    all.set(job, known);
  }
  return known;
}
