// Where a search begins: in which order cores are searched, and a strategy to beat. It decides no result, only how soon a good strategy is known: with
// one, most cores fall by their kernels alone.
//
// Cores are sorted by the floor of their kernels. The low ones among them may fit memory only with a deep pipeline or much recomputation, so of a few at the
// head of the list the plainest strategies that may fit are taken, and simulated from the lowest floor on until some fit.

import type { Software } from "../../parallel/strategy.ts";
import { CoreBounds } from "../bounds/coreBounds.ts";
import type { Objective } from "../objectives/objective.ts";
import { listPlacements } from "../space/enumerate.ts";
import { leafJob } from "../space/leaf.ts";
import { CoreTree } from "../space/tree.ts";
import type { Core, Ending, Keep, Leaf, Manner, Placement, PlanJob } from "../space/types.ts";
import { makeEvaluate } from "./evaluate.ts";
import { type LayoutValues, layoutOf } from "./incumbents.ts";
import { sharedSchedules } from "./schedules.ts";

/** Cores judged beyond their kernels. */
const NUM_JUDGED = 24;
/** Strategies simulated before the search: until so many fit, and no more than so many. */
const NUM_FITTING = 10;
const NUM_TRIED = 40;

export interface SearchStart {
  readonly cores: readonly RankedCore[];
  /** Values of strategies that were simulated and fit. They are met again in the search. */
  readonly known: LayoutValues;
}

/** A core and a floor of all its strategies, from its kernels alone. */
export interface RankedCore {
  readonly core: Core;
  readonly floor: number;
}

interface Probe {
  readonly floor: number;
  readonly core: Core;
  readonly index: number;
  readonly bounds: CoreBounds;
  readonly tree: CoreTree;
  readonly pairs: readonly { readonly placement: Placement; readonly manner: Manner }[];
  readonly bound: number;
}

interface Candidate {
  readonly leaf: Leaf;
  readonly floor: number;
}

export function searchStart(job: PlanJob, objective: Objective, cores: readonly Core[]): SearchStart {
  const probes = cores.map((core, index) => probe(job, objective, core, index));
  probes.sort((a, b) => a.bound - b.bound || a.index - b.index);
  const candidates = probes.slice(0, NUM_JUDGED).flatMap((each) => plainest(each, job));
  candidates.sort((a, b) => a.floor - b.floor);
  const evaluate = makeEvaluate(job, sharedSchedules());
  const known: [string, number][] = [];
  let best: { value: number; core: Core } | null = null;
  for (const { leaf, floor } of candidates.slice(0, NUM_TRIED)) {
    if (known.length >= NUM_FITTING || (best !== null && floor > best.value)) break;
    const { strategy, software } = leafJob(job, leaf);
    if (job.refuses !== undefined && job.refuses(strategy, software).length > 0) continue;
    const brief = evaluate(leaf);
    if (brief.kind !== "ok") continue;
    const value = objective.valueOf(brief);
    known.push([layoutOf(leaf.core, leaf.placement), value]);
    if (best === null || value < best.value) best = { value, core: leaf.core };
  }
  const first = best?.core;
  const ranked = probes.map(({ core, floor }): RankedCore => ({ core, floor }));
  return {
    cores: [...ranked.filter((each) => each.core === first), ...ranked.filter((each) => each.core !== first)],
    known,
  };
}

function probe(job: PlanJob, objective: Objective, core: Core, index: number): Probe {
  const tree = new CoreTree(job, core);
  const bounds = new CoreBounds(job, core, objective, {
    endingsAt: (placement, family) => tree.endingsAt(placement, family),
    scheduleOf: sharedSchedules(),
  });
  const pairs: { placement: Placement; manner: Manner }[] = [];
  let bound = Number.POSITIVE_INFINITY;
  let floor = Number.POSITIVE_INFINITY;
  for (const placement of listPlacements(job, core)) {
    const kernels = new Set<string>();
    const families = new Set<string>();
    for (const manner of tree.mannersAt(placement)) {
      const kernel = `${manner.family}${manner.sequenceParallel}`;
      if (kernels.has(kernel)) continue;
      kernels.add(kernel);
      const least = bounds.kernelBound(placement, manner, Number.POSITIVE_INFINITY);
      floor = Math.min(floor, least);
      // The first manner of each family is the one with everything on.
      if (families.has(manner.family) || bounds.mannerExcess(placement, manner) > 0) continue;
      families.add(manner.family);
      pairs.push({ placement, manner });
      bound = Math.min(bound, least);
    }
  }
  return { core, index, bounds, tree, pairs, bound, floor };
}

/** As the software does it, nothing offloaded. */
function isPlain(ending: Ending, software: Software): boolean {
  return (
    !ending.offloadOptimizer &&
    ending.overlapGradReduce === software.overlapGradReduce &&
    ending.overlapParamGather === software.overlapParamGather
  );
}

/** For each placement the strategy with the least floor that may fit, with nothing, something cheap or everything recomputed. */
function plainest({ core, bounds, tree, pairs }: Probe, { software }: PlanJob): Candidate[] {
  const none = Number.POSITIVE_INFINITY;
  const keeps = tree.keeps.filter((keep) => !keep.partial && !keep.offloadActivations);
  const few = [keeps[0], keeps[1], keeps.at(-1)].filter((keep): keep is Keep => keep !== undefined);
  const candidates: Candidate[] = [];
  for (const { placement, manner } of pairs) {
    const endings = tree.endingsAt(placement, manner.family).filter((ending) => isPlain(ending, software));
    const bodies = tree.bodiesAt(placement).filter((body) => body.overlapP2p === software.overlapP2p);
    for (const keep of few) {
      let least: Candidate | null = null;
      for (const body of [bodies.at(-1), bodies[0]]) {
        if (body === undefined) continue;
        const at = { placement, manner, keep, body };
        const found = bounds.bestEnding(at, endings, none);
        if (found !== null && (least === null || found.floor < least.floor))
          least = { leaf: { core, ...at, ending: found.ending }, floor: found.floor };
      }
      if (least === null) continue;
      candidates.push(least);
      break;
    }
  }
  return candidates;
}
