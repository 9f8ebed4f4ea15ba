// A look over the layouts before any floor is computed: for every division of the devices one plain strategy, with as little recomputation as lets it fit.
// It proves nothing and is no part of the search; it shows at once what the layouts are about, and what is near the best.

import type { Objective } from "../objectives/objective.ts";
import { listCores, listPlacements } from "../space/enumerate.ts";
import { leafJob } from "../space/leaf.ts";
import { CoreTree } from "../space/tree.ts";
import type { Core, Ending, Keep, Leaf, Placement, PlanJob } from "../space/types.ts";
import { makeEvaluate } from "./evaluate.ts";
import { sharedSchedules } from "./schedules.ts";
import type { Found } from "./searchCore.ts";

/** One answer for each layout looked at: null where its plain strategies do not fit. At most `most` layouts, wide differences first. */
export function* surveyLayouts(job: PlanJob, objective: Objective, most: number): Generator<Found | null> {
  const evaluate = makeEvaluate(job, sharedSchedules());
  for (const { core, placement, tree } of layouts(job).slice(0, most)) {
    let found: Found | null = null;
    for (const leaf of plainLeaves(job, core, placement, tree)) {
      const { strategy, software } = leafJob(job, leaf);
      if (job.refuses !== undefined && job.refuses(strategy, software).length > 0) continue;
      const brief = evaluate(leaf);
      if (brief.kind !== "ok") continue;
      found = { leaf, brief, value: objective.valueOf(brief) };
      break;
    }
    yield found;
  }
}

interface Layout {
  readonly core: Core;
  readonly placement: Placement;
  readonly tree: CoreTree;
}

/** Every core at its shallowest pipeline first, then every core one step deeper: whatever is cut off at the end are the deepest. */
function layouts(job: PlanJob): Layout[] {
  const rows = listCores(job).map((core) => {
    const tree = new CoreTree(job, core);
    return listPlacements(job, core).map((placement) => ({ core, placement, tree }));
  });
  const deepest = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length: deepest }, (_, i) => rows.flatMap((row) => row[i] ?? [])).flat();
}

/** Nothing, something cheap, everything recomputed; a plain ending before one that splits parameters. */
function* plainLeaves(job: PlanJob, core: Core, placement: Placement, tree: CoreTree): Generator<Leaf> {
  const keeps = tree.keeps.filter((keep) => !keep.partial && !keep.offloadActivations);
  const few = [keeps[0], keeps[1], keeps.at(-1)].filter((keep): keep is Keep => keep !== undefined);
  const bodies = tree.bodiesAt(placement);
  // As many chunks as divide evenly come last in the list; the middle one has a small bubble and few messages.
  const body = bodies.find((each) => each.numChunks === 2) ?? bodies[0];
  if (body === undefined) return;
  const families = new Set<string>();
  for (const manner of tree.mannersAt(placement)) {
    if (families.has(manner.family)) continue;
    families.add(manner.family);
    const ending = plainEnding(tree.endingsAt(placement, manner.family), job);
    if (ending !== undefined) for (const keep of new Set(few)) yield { core, placement, manner, keep, body, ending };
  }
}

function plainEnding(endings: readonly Ending[], { software }: PlanJob): Ending | undefined {
  const plain = endings.filter(
    (ending) =>
      !ending.offloadOptimizer &&
      ending.overlapGradReduce === software.overlapGradReduce &&
      ending.overlapParamGather === software.overlapParamGather,
  );
  return plain.find((ending) => ending.sharding === "zero1") ?? plain[0] ?? endings[0];
}
