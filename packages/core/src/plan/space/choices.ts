// The values of each dimension that depend on nothing but the job: what is searched unless the user says otherwise.
//
// Where all values would be many and few of them sensible, the default is the few (docs/plan.md lists them); `open` searches all, `fix` any list.

import type { OrderAxis } from "../../parallel/mesh.ts";
import { scheduleFamilies } from "../../parallel/schedules/index.ts";
import type { Precision, RecomputeModule, Sharding, Software } from "../../parallel/strategy.ts";
import { admits, type Value } from "./limits.ts";
import type { Keep, Manner, PlanJob } from "./types.ts";

/** Schedules that training frameworks ship as their default: others are searched when they are named or the dimension is open. */
const usualSchedules: readonly string[] = ["1f1b", "interleaved"];

export function schedules(job: PlanJob): readonly string[] {
  const { limits } = job;
  const all = scheduleFamilies.map((family) => family.name);
  const named = limits.fix.has("schedule") || limits.open.has("schedule");
  return (named ? all : usualSchedules).filter((name) => admits(limits, "schedule", name));
}

export function precisions(job: PlanJob): readonly Precision[] {
  const fixed = job.limits.fix.get("precision");
  return fixed === undefined ? [job.base.precision] : (fixed as readonly Precision[]); // checkStrategy refuses what no format is
}

export function shardings(job: PlanJob): readonly Sharding[] {
  return (["none", "zero1", "zero2", "zero3"] as const).filter((each) => admits(job.limits, "sharding", each));
}

/** true before false: sooner good strategies, sooner a good bound. */
export function flags(
  job: PlanJob,
  name: Parameters<typeof admits>[1],
  values: readonly boolean[],
): readonly boolean[] {
  return values.filter((value) => admits(job.limits, name, value));
}

/** An overlap that the software has can be turned off; one that it lacks cannot be turned on, unless the user fixes it. */
export function overlapFlags(job: PlanJob, name: Parameters<typeof admits>[1], has: boolean): readonly boolean[] {
  return flags(job, name, has || job.limits.fix.has(name) ? [true, false] : [false]);
}

const tpOverlaps: readonly Software["tpOverlap"][] = ["userBuffers", "dgradAsync", "none"];

export function tensorOverlaps(job: PlanJob): readonly Software["tpOverlap"][] {
  const most = job.limits.fix.has("tp_overlap") ? 0 : tpOverlaps.indexOf(job.software.tpOverlap);
  return tpOverlaps.slice(most).filter((each) => admits(job.limits, "tp_overlap", each));
}

/** Orders of ranks, fastest axis first. Tensor parallel ranks are neighbours unless the dimension is open or fixed. */
export function orders(job: PlanJob): readonly (readonly OrderAxis[])[] {
  const all = job.limits.open.has("order") || job.limits.fix.has("order");
  const found: OrderAxis[][] = [];
  const extend = (taken: OrderAxis[]): void => {
    if (taken.length === 4) {
      if (admits(job.limits, "order", taken.join("-"))) found.push(taken);
      return;
    }
    for (const axis of ["tp", "cp", "dp", "pp"] as const)
      if (!taken.includes(axis) && (all || taken.length > 0 || axis === "tp")) extend([...taken, axis]);
  };
  extend([]);
  return found;
}

/** Names of recompute choices as `fix` and `forbid` compare them. */
function keepNames(keep: Keep): readonly Value[] {
  const { recompute } = keep;
  if (recompute.kind === "selective") return [keep.name, "selective"];
  return recompute.kind === "full" ? [keep.name, "full"] : [keep.name];
}

/** Nothing recomputed or offloaded. */
export const plainKeep: Keep = { name: "none", recompute: { kind: "none" }, offloadActivations: false, partial: false };

export function keeps(job: PlanJob): readonly Keep[] {
  const { model, limits } = job;
  const kinds = [...model.layerKinds, ...(model.encoder?.layerKinds ?? [])];
  const hasMla = kinds.some((layer) => layer.mixer.kind === "mla");
  const hasMoe = kinds.some((layer) => layer.ffn.kind === "moe");
  const hasAttention = kinds.some((layer) => layer.mixer.kind === "attention" || layer.mixer.kind === "mla");
  const selective: (readonly RecomputeModule[])[] = [
    ["norm", "activation"],
    ...(hasAttention ? ([["attention"], ["attention", "norm", "activation"]] as const) : []),
    ...(hasMla ? ([["mlaUp"], ["mlaUp", "norm", "activation"]] as const) : []),
    ...(hasMoe ? ([["moe"]] as const) : []),
  ];
  const full = { kind: "full", everyLayers: 1, numLayers: "all" } as const;
  const recomputes: Omit<Keep, "offloadActivations">[] = [
    { name: "none", recompute: { kind: "none" }, partial: false },
    ...selective.map((modules) => ({
      name: modules.join("+"),
      recompute: { kind: "selective", modules } as const,
      partial: false,
    })),
    { name: "ops", recompute: { kind: "ops" }, partial: false },
    // Encoder layers share stages with the decoder's: how many of a chunk recompute says too little there.
    ...(model.encoder === undefined ? [{ name: "some-layers", recompute: full, partial: true }] : []),
    { name: "full", recompute: full, partial: false },
  ];
  // Trainers rarely move activations to the host, and host links differ more between machines than their data sheets say: only where it is asked for.
  const asked = job.limits.open.has("offload_activations") || job.limits.fix.has("offload_activations");
  const offloads = flags(job, "offload_activations", asked ? [false, true] : [false]);
  return recomputes
    .flatMap((each) => offloads.map((offloadActivations): Keep => ({ ...each, offloadActivations })))
    .filter((keep) => keepAdmitted(job, keep, limits));
}

function keepAdmitted(_: PlanJob, keep: Keep, limits: PlanJob["limits"]): boolean {
  const names = keepNames(keep);
  const fixed = limits.fix.get("recompute");
  if (fixed !== undefined && !names.some((name) => fixed.includes(String(name)))) return false;
  const forbidden = limits.forbid.get("recompute");
  return forbidden === undefined || !names.some((name) => forbidden.has(String(name)));
}

export function manners(
  job: PlanJob,
  at: {
    readonly tp: number;
    readonly cp: number;
    readonly ulysses: number;
    readonly ep: number;
    readonly dpcp: number;
  },
): readonly Manner[] {
  const found: Manner[] = [];
  const families = new Set(
    shardings(job).map((each) => (each === "zero2" || each === "zero3" ? each : ("plain" as const))),
  );
  for (const family of families) {
    if (family !== "plain" && at.dpcp === 1) continue;
    for (const sequenceParallel of at.tp > 1 ? flags(job, "sequence_parallel", [true, false]) : [false])
      for (const tpOverlap of at.tp > 1 ? tensorOverlaps(job) : [job.software.tpOverlap])
        for (const overlapCp of at.cp > at.ulysses
          ? overlapFlags(job, "overlap_cp", job.software.overlapCp)
          : [job.software.overlapCp])
          for (const overlapMoeExchange of at.ep > 1
            ? overlapFlags(job, "overlap_moe_exchange", job.software.overlapMoeExchange)
            : [job.software.overlapMoeExchange])
            found.push({ sequenceParallel, family, tpOverlap, overlapCp, overlapMoeExchange });
  }
  return found;
}
