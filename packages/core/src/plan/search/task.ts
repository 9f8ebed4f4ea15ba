// The unit of work that a search hands out: one core, with what was known when its round began. Everything in and out is plain data, so that a task can
// run in another thread; what comes back depends on the task alone.

import type { Objective } from "../objectives/objective.ts";
import type { Core, Leaf, PlanJob } from "../space/types.ts";
import type { PlanCounts } from "./counts.ts";
import { makeEvaluate } from "./evaluate.ts";
import { BestLayouts, type LayoutValues, layoutOf } from "./incumbents.ts";
import { sharedSchedules } from "./schedules.ts";
import { type Found, finish, type NearMiss, searchSteps } from "./searchCore.ts";

export interface CoreTask {
  readonly core: Core;
  /** Of all its strategies. */
  readonly floor: number;
  readonly known: LayoutValues;
}

export interface CoreAnswer {
  readonly counts: PlanCounts;
  /** The best leaf of each layout that was simulated. */
  readonly best: readonly Found[];
  readonly nearestMiss: NearMiss | null;
}

/** @param numProven layouts that must be the best ones. */
export function taskRunner(
  job: PlanJob,
  objective: Objective,
  numProven: number,
): (task: CoreTask, stopped?: () => boolean) => CoreAnswer {
  const steps = taskSteps(job, objective, numProven);
  return (task, stopped) => finish(steps(task, stopped));
}

/** The same node by node (searchSteps). */
export function taskSteps(
  job: PlanJob,
  objective: Objective,
  numProven: number,
): (task: CoreTask, stopped?: () => boolean) => Generator<void, CoreAnswer> {
  const scheduleOf = sharedSchedules();
  const evaluate = makeEvaluate(job, scheduleOf);
  return function* (task, stopped) {
    const known = new BestLayouts(numProven, task.known);
    const result = yield* searchSteps({
      job,
      core: task.core,
      floor: task.floor,
      objective,
      evaluate,
      scheduleOf,
      incumbents: {
        threshold: () => known.threshold(),
        offer: ({ leaf, value }) => known.offer(layoutOf(leaf.core, leaf.placement), value),
      },
      ...(stopped === undefined ? {} : { stopped }),
    });
    return { counts: result.counts, best: bestOfLayouts(result.found), nearestMiss: result.nearestMiss };
  };
}

/** Of leaves with one layout the best, the one met first where they are equal. */
export function bestOfLayouts(found: readonly Found[]): Found[] {
  const best = new Map<string, Found>();
  for (const each of found) {
    const layout = layoutOf(each.leaf.core, each.leaf.placement);
    const before = best.get(layout);
    if (before === undefined || each.value < before.value) best.set(layout, each);
  }
  return [...best.values()].sort((a, b) => a.value - b.value || (leafKey(a.leaf) < leafKey(b.leaf) ? -1 : 1));
}

export function leafKey(leaf: Leaf): string {
  return JSON.stringify(leaf);
}
