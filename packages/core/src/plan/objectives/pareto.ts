// What is worth giving up for what: strategies that no other beats in throughput, memory headroom and cost at once.
//
// Time and cost of a fixed cluster go together; headroom pulls against them. So the front is found exactly by the best time under each of a row of memory
// limits (epsilon constraints): the device's memory and shares of it.

import type { Found } from "../search/searchCore.ts";
import { type SearchOptions, searchPlan } from "../search/searchPlan.ts";
import type { PlanJob } from "../space/types.ts";
import type { Objective } from "./objective.ts";

export interface FrontPoint {
  /** Share of the device's memory that strategies were held to. */
  readonly limitFrac: number;
  readonly found: Found;
  readonly tokensPerSec: number;
  readonly headroomBytes: number;
  /** null where the cluster has no price. */
  readonly usdPerBillionTokens: number | null;
}

/** Memory limits tried, as shares of the device's. */
export const LIMIT_FRACS: readonly number[] = [1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4];

export function paretoFront(job: PlanJob, objective: Objective, options: SearchOptions = {}): FrontPoint[] {
  const points: FrontPoint[] = [];
  for (const limitFrac of LIMIT_FRACS) {
    const { device } = job.cluster;
    const held = { ...job.cluster, device: { ...device, memoryBytes: device.memoryBytes * limitFrac } };
    const found = searchPlan({ ...job, cluster: held }, objective, options).best[0];
    if (found === undefined) break;
    points.push(pointOf(job, limitFrac, found));
  }
  return undominated(points);
}

export function pointOf(job: PlanJob, limitFrac: number, found: Found): FrontPoint {
  const { cluster, workload } = job;
  const tokens = workload.globalBatch * workload.seqLen;
  const usdPerHour = cluster.usdPerDeviceHour ?? cluster.device.priceUsdPerHour;
  const { stepSec, peakBytes } = found.brief;
  return {
    limitFrac,
    found,
    tokensPerSec: tokens / stepSec,
    headroomBytes: cluster.device.memoryBytes - peakBytes,
    usdPerBillionTokens:
      usdPerHour === undefined ? null : ((usdPerHour * cluster.numDevices * stepSec) / 3600 / tokens) * 1e9,
  };
}

/** Points that no other matches or beats in everything; of equal ones the first. */
export function undominated(points: readonly FrontPoint[]): FrontPoint[] {
  return points.filter((point, i) => !points.some((other, j) => j !== i && beats(other, point, j < i)));
}

function beats(a: FrontPoint, b: FrontPoint, earlier: boolean): boolean {
  const cost = (point: FrontPoint) => point.usdPerBillionTokens ?? 0;
  const asGood = a.tokensPerSec >= b.tokensPerSec && a.headroomBytes >= b.headroomBytes && cost(a) <= cost(b);
  const better = a.tokensPerSec > b.tokensPerSec || a.headroomBytes > b.headroomBytes || cost(a) < cost(b);
  return asGood && (better || earlier);
}
