// Searches in a row: over numbers of devices (strong or weak scaling) or over clusters of other devices and node types.

import { objectiveOf, type PlanRequest, planJob, planOutcome, withDevices } from "@meshwright/core/plan";
import type { SweepPoint } from "@meshwright/core/report";
import type { JobSpec } from "@meshwright/core/spec";
import { InputError } from "@meshwright/core/units";
import type { Io } from "../io.ts";
import { searchOnThreads } from "./threads.ts";

export interface SweepRequest {
  readonly kind: "gpus" | "cluster";
  readonly values: readonly string[];
}

export function readSweep(text: string): SweepRequest {
  const [, kind, values] = /^(gpus|cluster)=(.+)$/s.exec(text) ?? [];
  if (kind === undefined || values === undefined)
    throw new InputError({
      path: "--sweep",
      message: `Cannot sweep "${text}"`,
      hint: "write --sweep gpus=64,128,256 or --sweep cluster=64xh100-sxm,64xb200",
    });
  return { kind: kind as SweepRequest["kind"], values: values.split(",").map((value) => value.trim()) };
}

/** Jobs of a sweep by their labels. @param onCluster the job on another cluster, from its shorthand. */
export function sweepJobs(
  job: JobSpec,
  request: PlanRequest,
  sweep: SweepRequest,
  at: { readonly weak: boolean; readonly onCluster: (name: string) => JobSpec },
): { label: string; job: JobSpec }[] {
  return sweep.values.map((value) => {
    if (sweep.kind === "cluster") return { label: value, job: at.onCluster(value) };
    const count = Number(value);
    const sized = Number.isInteger(count) && count >= 1 ? resized(job, request, count, at) : null;
    if (sized === null)
      throw new InputError({
        path: "--sweep",
        message: `Cannot make a cluster of "${value}" devices like "${job.cluster.name}"`,
        hint: `use multiples of ${job.cluster.node.numDevices}; what joins nodes must be said for a description of one node`,
      });
    return { label: `${value} GPUs`, job: sized };
  });
}

/** The job on so many devices. A shorthand is read again with another count: one node does not say what joins it with others. */
function resized(
  job: JobSpec,
  request: PlanRequest,
  count: number,
  at: { readonly weak: boolean; readonly onCluster: (name: string) => JobSpec },
): JobSpec | null {
  const sized = withDevices(planJob(job, request), count, at.weak);
  if (sized !== null) return { ...job, cluster: sized.cluster, workload: sized.workload };
  const { name, numDevices, node } = job.cluster;
  if (!/^\d+x[a-z]/.test(name) || numDevices > node.numDevices || count % numDevices !== 0) return null;
  const again = at.onCluster(name.replace(/^\d+/, String(count)));
  const globalBatch = at.weak ? job.workload.globalBatch * (count / numDevices) : job.workload.globalBatch;
  return { ...again, workload: { ...again.workload, globalBatch } };
}

export async function runSweep(
  jobs: readonly { readonly label: string; readonly job: JobSpec }[],
  request: PlanRequest,
  workers: number | undefined,
  io: Io,
): Promise<SweepPoint[]> {
  const points: SweepPoint[] = [];
  for (const { label, job } of jobs) {
    const space = planJob(job, request);
    const objective = objectiveOf(request.objective, space);
    const search = await searchOnThreads({ job, request }, { space, objective, numProven: 1, workers }, io);
    const found = { ...search, best: search.best.slice(0, 1) };
    const outcome =
      found.best.length === 0
        ? null
        : planOutcome(job, request, { space, search: found, numProven: 1, partial: false });
    points.push({ label, numDevices: job.cluster.numDevices, plan: outcome?.plans[0] ?? null });
  }
  return points;
}
