// Shapes of a strategy on a mixed cluster: which groups take part, the kernels' dimensions, how deep the pipeline is, and how ranks lie on the groups.
//
// Dimensions come from the same lists as any other search (space/), narrowed to what decides between unlike devices: overlap options stay as the software has
// them, nothing is offloaded and no partial recomputation is tried, unless the user's limits name those dimensions. Placements worth trying follow
// Holmes' rule (parallel/placements.ts).
//
// Each shape has a floor that holds for any deal of layers and micro-batches: a lane of tp x cp devices of a group needs at least so many seconds of work for one
// micro-batch of the whole model, so all lanes together cannot finish the batch sooner. Work is what one lane alone is predicted to compute without
// contention, noise or pipeline.

import { placedCluster } from "../../cluster/mixed.ts";
import type { ClusterSpec } from "../../cluster/types.ts";
import { groupChoices, type PlacementChoice, placements } from "../../parallel/placements.ts";
import { noContention, predictStep } from "../../simulate/index.ts";
import { noNoise } from "../../simulate/noise.ts";
import { InputError } from "../../units/errors.ts";
import { coreStrategy, listCores, listPlacements } from "../space/enumerate.ts";
import type { DimensionName, Limits } from "../space/limits.ts";
import { CoreTree } from "../space/tree.ts";
import type { Core, Placement, PlanJob } from "../space/types.ts";

/** Groups that work together, as a job of their own; the rest stays idle. */
export interface MixedSpace {
  readonly job: PlanJob;
  readonly groups: readonly string[];
  /** Orders of ranks that the user allows; null: any. */
  readonly orders: readonly string[] | null;
}

export interface Shape {
  readonly space: MixedSpace;
  readonly core: Core;
  readonly tree: CoreTree;
  readonly placement: Placement;
  readonly choice: PlacementChoice;
  /** No strategy of the shape is faster. */
  readonly floorSec: number;
  /** Strategies of the shape. */
  readonly numLeaves: number;
}

/** Every set of groups with the devices of those groups alone. */
export function mixedSpaces(job: PlanJob): MixedSpace[] {
  const limits = narrowed(job);
  return groupChoices(job.cluster).map(({ groups }) => ({
    groups,
    orders: job.limits.fix.get("order") ?? null,
    job: { ...job, cluster: placedCluster(job.cluster, groups), limits },
  }));
}

/** Shapes of a set of groups, in the order of the lists. */
export function listShapes(space: MixedSpace): Shape[] {
  const { job } = space;
  const shapes: Shape[] = [];
  for (const core of listCores(job)) {
    const tree = new CoreTree(job, core);
    const workSec = laneWork(space, core);
    for (const placement of listPlacements(job, core)) {
      const numLeaves = tree
        .mannersAt(placement)
        .reduce((sum, manner) => sum + tree.leavesOfManner(placement, manner), 0);
      if (numLeaves === 0) continue;
      const floorSec = floorOf(job.cluster, core, workSec, job.workload.globalBatch);
      for (const choice of choicesOf(space, core, placement))
        shapes.push({ space, core, tree, placement, choice, floorSec, numLeaves });
    }
  }
  return shapes;
}

function choicesOf({ job, orders }: MixedSpace, core: Core, placement: Placement): readonly PlacementChoice[] {
  const { tp, cp, ulysses, ep, etp } = core;
  const { dp, pp } = placement;
  const sizes = { tp, cp, ulysses, ep, etp, dp, pp, shard: dp * cp };
  return placements(job.cluster, sizes).filter(({ order }) => orders === null || orders.includes(order.join("-")));
}

/** Work of one lane for one micro-batch, by group: seconds, or 0 where a lane cannot be predicted alone. */
function laneWork({ job, groups }: MixedSpace, core: Core): ReadonlyMap<string, number> {
  const { model, workload, software } = job;
  const found = new Map<string, number>();
  // Experts lie over several lanes: as many as hold them all.
  const lanes = Math.max(1, Math.ceil((core.ep * core.etp) / (core.tp * core.cp)));
  const numDevices = core.tp * core.cp * lanes;
  for (const name of groups) {
    const view = viewOf(job.cluster, name);
    const alone: PlanJob = { ...job, cluster: { ...view, numDevices } };
    const strategy = { ...coreStrategy(alone, core, core.tp > 1), dp: lanes, shardGroup: lanes * core.cp };
    try {
      const step = predictStep(
        {
          model,
          cluster: alone.cluster,
          strategy,
          workload: { ...workload, globalBatch: core.microBatch * lanes },
          software,
        },
        { ignoreMemory: true, suggest: false, noise: noNoise, contention: noContention, power: { minClockFrac: 1 } },
      );
      const rank = step.kind === "ok" ? step.ranks[0] : undefined;
      found.set(name, rank?.computeSec ?? 0);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      found.set(name, 0);
    }
  }
  return found;
}

function floorOf(cluster: ClusterSpec, core: Core, workSec: ReadonlyMap<string, number>, globalBatch: number): number {
  let microBatchesPerSec = 0;
  for (const { name, numDevices } of cluster.groups ?? []) {
    const sec = workSec.get(name) ?? 0;
    if (sec === 0) return 0;
    microBatchesPerSec += numDevices / (core.tp * core.cp) / sec;
  }
  return microBatchesPerSec === 0 ? 0 : globalBatch / core.microBatch / microBatchesPerSec;
}

function viewOf(cluster: ClusterSpec, name: string): ClusterSpec {
  const group = cluster.groups?.find((each) => each.name === name);
  return group === undefined ? cluster : group.view;
}

/** Dimensions whose usual values are enough unless the user names them. */
function narrowed(job: PlanJob): Limits {
  const { limits, software } = job;
  const usual: readonly (readonly [DimensionName, string])[] = [
    ["overlap_grad_reduce", String(software.overlapGradReduce)],
    ["overlap_param_gather", String(software.overlapParamGather)],
    ["overlap_p2p", String(software.overlapP2p)],
    ["overlap_cp", String(software.overlapCp)],
    ["overlap_moe_exchange", String(software.overlapMoeExchange)],
    ["tp_overlap", software.tpOverlap],
    ["offload_optimizer", "false"],
    ["balance_embedding", "false"],
  ];
  const fix = new Map(limits.fix);
  for (const [name, value] of usual) if (!isNamed(limits, name)) fix.set(name, [value]);
  // The order of ranks is a matter of placements, so the tree lists one.
  fix.set("order", ["tp-cp-dp-pp"]);
  const forbid = new Map(limits.forbid);
  if (!isNamed(limits, "recompute"))
    forbid.set("recompute", new Set([...(limits.forbid.get("recompute") ?? []), "some-layers", "ops"]));
  return { ...limits, fix, forbid };
}

function isNamed(limits: Limits, name: DimensionName): boolean {
  return limits.fix.has(name) || limits.open.has(name) || limits.forbid.has(name);
}
