// The slow twin of the search: every leaf of a space, listed and predicted.

import { predictStep } from "../../simulate/index.ts";
import { listCores, listPlacements } from "../space/enumerate.ts";
import { leafJob } from "../space/leaf.ts";
import { CoreTree } from "../space/tree.ts";
import type { Leaf, PlanJob } from "../space/types.ts";

export function* allLeaves(job: PlanJob): Iterable<Leaf> {
  for (const core of listCores(job)) {
    const tree = new CoreTree(job, core);
    for (const placement of listPlacements(job, core))
      for (const manner of tree.mannersAt(placement))
        for (const keep of tree.keeps)
          for (const body of tree.bodiesAt(placement)) {
            const most = keep.partial ? tree.mostRecomputed(placement, body) : 0;
            for (let numRecomputed = keep.partial ? 1 : 0; numRecomputed <= most; numRecomputed++)
              for (const ending of tree.endingsAt(placement, manner.family))
                yield { core, placement, manner, keep, body: { ...body, numRecomputed }, ending };
          }
  }
}

export interface BruteForce {
  readonly numLeaves: number;
  readonly best: { readonly leaf: Leaf; readonly stepSec: number } | null;
}

export function bruteForce(job: PlanJob): BruteForce {
  let best: BruteForce["best"] = null;
  let numLeaves = 0;
  for (const leaf of allLeaves(job)) {
    numLeaves += leaf.placement.numOrders;
    const { model, cluster, workload } = job;
    const result = predictStep({ model, cluster, workload, ...leafJob(job, leaf) }, { suggest: false });
    if (result.kind === "ok" && (best === null || result.stepSec < best.stepSec))
      best = { leaf, stepSec: result.stepSec };
  }
  return { numLeaves, best };
}
