// In which order cores are searched. It decides no result, only how soon a good strategy is known: with one, most cores fall by their kernels alone.
//
// Cores are sorted by the floor of their kernels. The low ones among them may fit memory only with a deep pipeline or much recomputation, so the first core
// is the one with the best plain strategy that fits, judged by floors, of a few at the head of the list.

import { CoreBounds } from "../bounds/coreBounds.ts";
import type { Objective } from "../objectives/objective.ts";
import { listPlacements } from "../space/enumerate.ts";
import { CoreTree } from "../space/tree.ts";
import type { Core, Keep, Manner, Placement, PlanJob } from "../space/types.ts";
import { sharedSchedules } from "./schedules.ts";

/** Cores judged beyond their kernels. */
const NUM_JUDGED = 12;

interface Probe {
  readonly core: Core;
  readonly index: number;
  readonly bounds: CoreBounds;
  readonly tree: CoreTree;
  readonly pairs: readonly { readonly placement: Placement; readonly manner: Manner }[];
  readonly bound: number;
}

export function orderCores(job: PlanJob, objective: Objective, cores: readonly Core[]): Core[] {
  if (cores.length < 2) return [...cores];
  const probes = cores.map((core, index) => probe(job, objective, core, index));
  probes.sort((a, b) => a.bound - b.bound || a.index - b.index);
  let first = 0;
  let least = Number.POSITIVE_INFINITY;
  for (let i = 0; i < Math.min(NUM_JUDGED, probes.length); i++) {
    const each = probes[i]!;
    if (each.bound >= least) break;
    const value = plainest(each);
    if (value < least) {
      least = value;
      first = i;
    }
  }
  const [chosen] = probes.splice(first, 1);
  return [chosen!, ...probes].map(({ core }) => core);
}

function probe(job: PlanJob, objective: Objective, core: Core, index: number): Probe {
  const tree = new CoreTree(job, core);
  const bounds = new CoreBounds(job, core, objective, {
    endingsAt: (placement, family) => tree.endingsAt(placement, family),
    scheduleOf: sharedSchedules(),
  });
  const pairs: { placement: Placement; manner: Manner }[] = [];
  let bound = Number.POSITIVE_INFINITY;
  for (const placement of listPlacements(job, core)) {
    const manner = tree.mannersAt(placement)[0];
    if (manner === undefined || !bounds.headFits(placement, manner)) continue;
    pairs.push({ placement, manner });
    bound = Math.min(bound, bounds.kernelBound(placement, manner, Number.POSITIVE_INFINITY));
  }
  return { core, index, bounds, tree, pairs, bound };
}

/** Least floor of a strategy that may fit, with nothing, something cheap or everything recomputed. */
function plainest({ bounds, tree, pairs }: Probe): number {
  const none = Number.POSITIVE_INFINITY;
  const keeps = tree.keeps.filter((keep) => !keep.partial && !keep.offloadActivations);
  const few = [keeps[0], keeps[1], keeps.at(-1)].filter((keep): keep is Keep => keep !== undefined);
  let least = none;
  for (const { placement, manner } of pairs) {
    const endings = tree.endingsAt(placement, manner.family);
    const bodies = tree.bodiesAt(placement).filter((body) => body.overlapP2p);
    for (const keep of few) {
      let fits = false;
      for (const body of [bodies.at(-1), bodies[0]]) {
        if (body === undefined) continue;
        const value = bounds.bodyEndings({ placement, manner, keep, body }, endings, none);
        fits ||= value < none;
        least = Math.min(least, value);
      }
      if (fits) break;
    }
  }
  return least;
}
