// The whole space: cores in rounds. Every core of a round begins with what was known before the round, and rounds have fixed sizes, so the answer and all
// counts are the same for any number of threads.

import type { Objective } from "../objectives/objective.ts";
import { listCores } from "../space/enumerate.ts";
import type { PlanJob } from "../space/types.ts";
import { type RankedCore, searchStart } from "./coreOrder.ts";
import { addCounts, noCounts, type PlanCounts } from "./counts.ts";
import { BestLayouts, layoutOf } from "./incumbents.ts";
import type { Found, NearMiss } from "./searchCore.ts";
import { bestOfLayouts, type CoreAnswer, type CoreTask, taskRunner } from "./task.ts";

export interface PlanSearch {
  readonly counts: PlanCounts;
  /** Best leaf of each layout met, best first. The first `numProven` are proven when nothing is open. */
  readonly best: readonly Found[];
  readonly nearestMiss: NearMiss | null;
  readonly numCores: number;
  /** Cores that were not searched to the end. */
  readonly numOpen: number;
}

export interface SearchOptions {
  /** Layouts that must be the best ones: 1 proves the winner. */
  readonly numProven?: number;
  /** Part of the cores: those whose place in the order leaves `index` when divided by `count`. */
  readonly shard?: { readonly index: number; readonly count: number };
  readonly onProgress?: (progress: SearchProgress) => void;
  /** Asked often; true ends the search. */
  readonly stopped?: () => boolean;
}

export interface SearchProgress {
  readonly numDone: number;
  readonly numCores: number;
  readonly best: Found | null;
}

/** Rounds double up to this many cores: enough for a node's threads, few enough to use what was just learnt. */
const ROUND_CORES = 16;

export class RoundedSearch {
  readonly cores: readonly RankedCore[];
  private readonly numProven: number;
  private readonly counts = noCounts();
  private readonly layouts: BestLayouts;
  private found: Found[] = [];
  private nearestMiss: NearMiss | null = null;
  private next = 0;
  private numOpen = 0;

  constructor(job: PlanJob, objective: Objective, options: SearchOptions = {}) {
    const { cores: all, known } = searchStart(job, objective, listCores(job));
    const { shard } = options;
    this.cores = shard === undefined ? all : all.filter((_, i) => i % shard.count === shard.index);
    this.numProven = options.numProven ?? 1;
    this.layouts = new BestLayouts(this.numProven, known);
  }

  /** Tasks of the next round; empty when all cores are searched. The first cores go alone: they make the others short. */
  round(): CoreTask[] {
    const size = Math.min(ROUND_CORES, Math.max(1, this.next));
    const known = this.layouts.sorted();
    const tasks = this.cores.slice(this.next, this.next + size).map((ranked) => ({ ...ranked, known }));
    this.next += tasks.length;
    return tasks;
  }

  /** Answers of a round, in the order of its tasks. */
  take(answers: readonly CoreAnswer[]): void {
    for (const answer of answers) {
      addCounts(this.counts, answer.counts);
      if (answer.counts.open > 0) this.numOpen++;
      for (const each of answer.best) this.layouts.offer(layoutOf(each.leaf.core, each.leaf.placement), each.value);
      this.found = bestOfLayouts([...this.found, ...answer.best]);
      const miss = answer.nearestMiss;
      if (miss !== null && (this.nearestMiss === null || miss.excessBytes < this.nearestMiss.excessBytes))
        this.nearestMiss = miss;
    }
  }

  progress(): SearchProgress {
    return { numDone: this.next, numCores: this.cores.length, best: this.found[0] ?? null };
  }

  result(): PlanSearch {
    const { counts, found, nearestMiss, cores } = this;
    return {
      counts,
      best: found,
      nearestMiss,
      numCores: cores.length,
      numOpen: this.numOpen + cores.length - this.next,
    };
  }
}

/** All rounds in this thread. */
export function searchPlan(job: PlanJob, objective: Objective, options: SearchOptions = {}): PlanSearch {
  const search = new RoundedSearch(job, objective, options);
  const run = taskRunner(job, objective, options.numProven ?? 1);
  for (let tasks = search.round(); tasks.length > 0; tasks = search.round()) {
    for (const task of tasks) {
      search.take([run(task, options.stopped)]);
      options.onProgress?.(search.progress());
    }
  }
  return search.result();
}
