// The whole space, core by core, in an order that finds good strategies early.

import type { Objective } from "../objectives/objective.ts";
import { listCores } from "../space/enumerate.ts";
import type { Core, PlanJob } from "../space/types.ts";
import { addCounts, noCounts, type PlanCounts } from "./counts.ts";
import { makeEvaluate } from "./evaluate.ts";
import { sharedSchedules } from "./schedules.ts";
import { type Found, type Incumbents, searchCore } from "./searchCore.ts";

export interface PlanSearch {
  readonly counts: PlanCounts;
  readonly found: readonly Found[];
  readonly numCores: number;
}

export function searchPlan(job: PlanJob, objective: Objective, trace?: (line: string) => void): PlanSearch {
  const cores = orderCores(job, listCores(job));
  const scheduleOf = sharedSchedules();
  const evaluate = makeEvaluate(job, scheduleOf);
  const counts = noCounts();
  const found: Found[] = [];
  let best = Number.POSITIVE_INFINITY;
  const incumbents: Incumbents = {
    threshold: () => best,
    offer: (each) => {
      if (each.value < best) best = each.value;
    },
  };
  for (const core of cores) {
    
    const result = searchCore({ job, core, objective, incumbents, evaluate, scheduleOf });
    addCounts(counts, result.counts);
    found.push(...result.found);
    trace?.(`${JSON.stringify(core)} best ${best} ${JSON.stringify(result.counts)}`);
  }
  return { counts, found, numCores: cores.length };
}

/** Tensor parallel over a node first, then what is near it. */
export function orderCores(job: PlanJob, cores: readonly Core[]): Core[] {
  const node = job.cluster.levels[0]!.numDevices;
  const distance = (core: Core) =>
    Math.abs(Math.log2(core.tp / Math.min(node, 8))) + Math.log2(core.cp) + Math.log2(core.microBatch) + Math.abs(Math.log2(core.ep / 8)) * 0.1;
  return [...cores].map((core, i) => ({ core, i })).sort((a, b) => distance(a.core) - distance(b.core) || a.i - b.i).map(({ core }) => core);
}
